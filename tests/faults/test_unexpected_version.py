"""A product of a version that was never looked at: refused with the range, and nothing counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import registry
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.runner import run_campaign
from deduplab.errors import SystemUnavailable, VersionRefused
from deduplab.executors.cell_process import Order
from deduplab.executors.local import LocalExecutor
from deduplab.model import OutcomeKind, Stage
from deduplab.servers import _postgresql_binaries
from deduplab.versions import check_version, number_in
from tests.faults.campaigns import SILENT, new_run
from tests.faults.cells import SERVERS, cell_of, plan_of

CHECKED = [name for name in SERVERS if registry.system(name).versions]


@pytest.mark.parametrize(
    "said",
    ["14.0", "18.6", "16.1 (Debian 16.1-1)", "8000GB 15.2 pypi", "17-MariaDB", "no number", ""],
)
def test_what_lies_in_the_range_is_taken(said: str) -> None:
    check_version("x", said, ("14", "18"))


@pytest.mark.parametrize("said", ["13.9", "19.1", "19beta1", "9.6.24", "2026-01-01T00:00:00Z"])
def test_what_lies_outside_is_refused_with_the_range(said: str) -> None:
    with pytest.raises(VersionRefused, match=r"x [\d.-]+ is none that deduplab knows \(14 to 18\)"):
        check_version("x", said, ("14", "18"))


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("10.11.19-MariaDB-0+deb12u1", "10.11.19"),
        ("8000GB 4.48 pypi", "4.48"),
        ("2026-02-12T20:18:48Z", "2026-02-12"),
        ("19", "19"),
        ("unknown", None),
    ],
)
def test_the_number_of_a_version_is_found(said: str, number: str | None) -> None:
    assert number_in(said) == number


def test_bounds_have_minor_numbers_too() -> None:
    check_version("x", "10.11.19-MariaDB-0+deb12u1", ("10.11", "12"))
    with pytest.raises(VersionRefused):
        check_version("x", "10.6.2", ("10.11", "12"))


@pytest.mark.server
@pytest.mark.parametrize("system", CHECKED)
def test_a_real_server_outside_the_range_is_refused_once(
    system: str,
    new_instance: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    entry = registry.system(system)
    known = dataclasses.replace(entry, versions=("1.0", "1.1"))
    monkeypatch.setitem(registry.systems(), system, known)
    with pytest.raises(SystemUnavailable) as caught:
        run_cell(cell_of(system, Stage.BULK), new_instance(), ManifestCache(tmp_path))
    if not isinstance(caught.value, VersionRefused):
        not_brought_up(system, caught.value)
    assert str(caught.value).startswith(f"{system} ")
    assert "is none that deduplab knows (1.0 to 1.1)" in str(caught.value)


def test_a_version_that_is_refused_is_not_tried_again_and_stays_to_be_run(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the local executor too, which hears of it from another process."""
    cell = cell_of("rest", Stage.BULK)
    run = new_run(tmp_path / "run", (cell,), plan_of("rest"))
    executor = LocalExecutor(run, workspace, ("rest",))
    monkeypatch.setattr("deduplab.executors.local.work", refusing)
    tally = run_campaign(run, (cell,), executor, SILENT)
    assert (tally.not_run, tally.ended) == (1, {})
    assert run.not_run() == {cell.cell_id: "rest 0.1 is none that deduplab knows"}
    monkeypatch.undo()
    assert run_campaign(run, (cell,), executor, SILENT).ended == {OutcomeKind.OK: 1}


def refusing(order: Order, connection: Connection) -> None:
    """Be the process of a cell whose system is refused; nobody may ask for a second attempt."""
    assert order.attempt == 1
    connection.send(("refused", "rest 0.1 is none that deduplab knows", None))


@pytest.mark.server
@pytest.mark.parametrize("variant", ["default", "toast-lz4"])
def test_every_postgresql_here_is_of_a_known_version(
    variant: str,
    new_instance: Callable[[], Path],
    tmp_path: Path,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    """The two variants may run builds of different versions: lz4 is not in every build."""
    try:
        _postgresql_binaries.choose_binaries(variant)
    except SystemUnavailable as error:
        not_brought_up(f"postgresql ({variant})", error)
    cell = dataclasses.replace(cell_of("postgresql", Stage.BULK), variant=variant)
    result, _ = run_cell(cell, new_instance(), ManifestCache(tmp_path))
    assert result.outcome.ok, result.outcome
