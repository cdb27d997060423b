"""A server that is killed in the middle of a stage: the reason is told, and nothing counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import config, registry
from deduplab.analysis import rows
from deduplab.analysis.tables import findings_of
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.runner import MOST_ATTEMPTS, run_campaign
from deduplab.errors import SystemUnavailable
from deduplab.model import OutcomeKind, Stage
from deduplab.report import html
from deduplab.store import Run
from tests.faults.campaigns import SILENT, Fault, Here, new_run, no_fault
from tests.faults.cells import CHAINS, SERVERS, cell_of, plan_of
from tests.faults.doomed import Doom

pytestmark = pytest.mark.server

KILLS = [
    (system, stage)
    for system in SERVERS
    for stage in CHAINS
    if stage is not Stage.RECLAIM or registry.system(system).capabilities().reclaim_modes
]


@pytest.mark.parametrize(("system", "stage"), KILLS)
def test_a_kill_in_any_stage_is_told_as_what_it_was(
    system: str,
    stage: Stage,
    new_instance: Callable[[], Path],
    tmp_path: Path,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    doom = Doom(stage)
    with pytest.raises(SystemUnavailable) as caught:
        run_cell(
            cell_of(system, stage),
            new_instance(),
            ManifestCache(tmp_path),
            notify=doom.notify,
            bring_up=doom.bring_up,
        )
    if not doom.struck:
        not_brought_up(system, caught.value)
    assert f"the server ended during the stage {stage}" in str(caught.value)
    assert "killed by SIGKILL" in str(caught.value)


def kills(stage: Stage, attempts: tuple[int, ...], struck: list[int]) -> Fault:
    """Return a fault that kills the server in these attempts."""

    def fault(attempt: int) -> object:
        if attempt not in attempts:
            return no_fault(attempt)
        doom = Doom(stage)
        struck.append(attempt)
        return doom.notify, doom.bring_up

    return fault  # type: ignore[return-value]


def test_a_killed_cell_is_run_again_on_a_fresh_instance(
    system: str,
    workspace: Path,
    tmp_path: Path,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    cell = cell_of(system, Stage.READ)
    run = new_run(tmp_path / "run", (cell,), plan_of(system))
    struck: list[int] = []
    run_campaign(run, (cell,), Here(run, workspace, kills(Stage.BULK, (1,), struck)), SILENT)
    if run.not_run():
        not_brought_up(system, SystemUnavailable(run.not_run()[cell.cell_id]))
    result = run.cell(cell.cell_id)
    assert struck == [1]
    assert result.outcome.ok, result.outcome
    assert result.attempts == 2


@pytest.mark.parametrize("system", ["redis", "rest"])
def test_what_is_killed_every_time_counts_nowhere_and_the_run_goes_on(
    system: str,
    workspace: Path,
    tmp_path: Path,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    plan = plan_of(system).replace('["U50"]', '["U0", "U50"]')
    cells = matrix.cells(config.parse(plan, origin="p.toml"))
    assert len(cells) == 2
    struck: list[int] = []
    run = new_run(tmp_path / "run", cells, plan)
    every = tuple(range(1, MOST_ATTEMPTS + 1))
    run_campaign(run, cells[:1], Here(run, workspace, kills(Stage.DELETE, every, struck)), SILENT)
    if run.not_run():
        not_brought_up(system, SystemUnavailable(run.not_run()[cells[0].cell_id]))
    failed = run.cell(cells[0].cell_id)
    assert struck == [*every]
    assert failed.outcome.kind is OutcomeKind.FAILED
    assert failed.outcome.reason.startswith(f"SystemUnavailable after {MOST_ATTEMPTS} attempts: ")
    assert "killed by SIGKILL" in failed.outcome.reason
    assert not failed.measurements
    assert not [row for row in rows(run) if row.ok]
    for found in findings_of(rows(run)):
        assert not any(cost and cost.ok for cost in found.unique_costs)
    assert "killed by SIGKILL" in html.render(run)

    again = Run.open(run.root)
    tally = run_campaign(again, cells, Here(again, workspace), SILENT)
    assert tally.resumed == 1
    assert tally.ended == {OutcomeKind.OK: 1}
