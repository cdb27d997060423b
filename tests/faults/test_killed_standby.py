"""A standby that is killed while a commit waits for it: soon told, by name, and tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import config
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.runner import run_campaign
from deduplab.cell import Cell
from deduplab.errors import SystemUnavailable
from deduplab.model import Stage
from tests.faults.campaigns import SILENT, Here, new_run, no_fault
from tests.faults.cells import plan_of
from tests.faults.doomed import Doom, kill_last_member

pytestmark = pytest.mark.server

SOON_S = 30.0
"""From the kill to its error; the cell has a deadline of its own, an hour at least."""

PLAN = "replicas = 3\n" + plan_of("postgresql")


def cell_with(settings: str = "") -> Cell:
    (cell,) = matrix.cells(config.parse(settings + PLAN, origin="faults.toml"))
    return cell


@pytest.mark.parametrize("stage", [Stage.BULK, Stage.INSERT, Stage.DELETE])
def test_a_commit_does_not_wait_for_a_standby_that_is_gone(
    stage: Stage,
    new_instance: Callable[[], Path],
    tmp_path: Path,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    struck_s: list[float] = []

    def kill(server: object) -> None:
        kill_last_member(server)  # type: ignore[arg-type]
        struck_s.append(time.monotonic())

    doom = Doom(stage, kill)
    with pytest.raises(SystemUnavailable) as caught:
        run_cell(
            cell_with(),
            new_instance(),
            ManifestCache(tmp_path),
            notify=doom.notify,
            bring_up=doom.bring_up,
        )
    if not doom.struck:
        not_brought_up("postgresql", caught.value)
    assert time.monotonic() - struck_s[0] < SOON_S
    said = str(caught.value)
    assert "standby-2: PostgreSQL was killed by SIGKILL" in said
    assert "It showed as: SystemUnavailable: postgresql: standby 2 of 2 (127.0.0.1:" in said


def test_the_cell_is_run_again_with_all_members(
    workspace: Path, tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    cell = cell_with()
    run = new_run(tmp_path / "run", (cell,), PLAN)
    dooms: list[Doom] = []

    def fault(attempt: int) -> object:
        if attempt > 1:
            return no_fault(attempt)
        dooms.append(Doom(Stage.INSERT, kill_last_member))
        return dooms[0].notify, dooms[0].bring_up

    run_campaign(run, (cell,), Here(run, workspace, fault), SILENT)  # type: ignore[arg-type]
    if run.not_run():
        not_brought_up("postgresql", SystemUnavailable(run.not_run()[cell.cell_id]))
    result = run.cell(cell.cell_id)
    assert dooms[0].struck
    assert result.outcome.ok, result.outcome
    assert result.attempts == 2
