"""Which cells of earlier runs a new run may take over: whole blocks, of a host like this."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deduplab import config
from deduplab.bench import environment, matrix
from deduplab.bench.earlier_cells import earlier_cells
from deduplab.bench.runner import without_measurements
from deduplab.cell import Cell, RemoteAddress
from deduplab.model import OK, Outcome, OutcomeKind
from deduplab.store import Run, RunHeader

PLAN = """\
name = "t"
repetitions = 2
stages = ["bulk"]
[data]
payloads = ["random_binary", "uuid_keys"]
grades = ["U0", "U50"]
distances = ["shuffled"]
logical_size = "1 MiB"
object_size = "8 KiB"
[systems.plain]
[systems.sqlite]
"""
CELLS = matrix.cells(config.parse(PLAN, origin="t.toml"))
BLOCK = len(CELLS) // 4  # two payloads, two repetitions


def block(payload: str = "random_binary", repetition: int = 1) -> list[Cell]:
    return [c for c in CELLS if (c.bulk.payload, c.repetition) == (payload, repetition)]


def run_with(
    root: Path,
    cells: list[Cell],
    bad: dict[str, Outcome] | None = None,
    recorded: dict[str, str] | None = None,
) -> Run:
    here = environment.record(root.parent, ["numpy"], ["none"]) | (recorded or {})
    header = RunHeader(root.name, "t", "d", 1, 1, tuple(c.cell_id for c in cells), here)
    run = Run.create(root, header, "")
    for cell in cells:
        run.commit(without_measurements(cell, (bad or {}).get(cell.cell_id, OK), 1, 1), {})
    return run


def taken(tmp_path: Path, *runs: Run, cells: tuple[Cell, ...] = CELLS) -> dict[str, str]:
    return {k: run.root.name for k, run in earlier_cells(runs, cells, tmp_path).items()}


def test_a_block_is_taken_over_and_what_no_run_has_is_not(tmp_path: Path) -> None:
    assert len(block()) == BLOCK == 4
    run = run_with(tmp_path / "a", [*block(), *block("uuid_keys", 2)])
    assert set(taken(tmp_path, run)) == {c.cell_id for c in (*block(), *block("uuid_keys", 2))}


def test_each_block_comes_from_the_first_run_that_has_it_whole(tmp_path: Path) -> None:
    first = run_with(tmp_path / "a", [*block()[:3], *block("uuid_keys")])
    second = run_with(tmp_path / "b", [*block(), *block("uuid_keys")])
    assert taken(tmp_path, first, second) == {c.cell_id: "b" for c in block()} | {
        c.cell_id: "a" for c in block("uuid_keys")
    }
    rest = run_with(tmp_path / "c", block()[3:])
    assert not set(taken(tmp_path, first, rest)) & {c.cell_id for c in block()}


@pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.INVALID])
def test_a_block_with_a_cell_that_does_not_count_is_left(kind: OutcomeKind, tmp_path: Path) -> None:
    bad = {block()[1].cell_id: Outcome(kind, "why")}
    assert taken(tmp_path, run_with(tmp_path / "a", block(), bad)) == {}


def test_a_block_in_which_a_system_has_no_such_stage_is_taken_over(tmp_path: Path) -> None:
    lacking = {block()[1].cell_id: Outcome(OutcomeKind.UNSUPPORTED, "no such layout")}
    assert len(taken(tmp_path, run_with(tmp_path / "a", block(), lacking))) == BLOCK


def test_a_block_with_a_damaged_cell_is_left(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", [*block(), *block("uuid_keys")])
    path = run.root / "cells" / block()[2].cell_id / "cell.json"
    path.write_bytes(path.read_bytes().replace(b"plain", b"plaim").replace(b"sqlite", b"sqlitf"))
    assert set(taken(tmp_path, run)) == {c.cell_id for c in block("uuid_keys")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[systems.plain]", "[systems.null]\n[systems.plain]"),
        ("[data]", 'layouts = ["blob", "native"]\n[data]'),
        ('"U50"]', '"U50", "U90"]'),
        ('["shuffled"]', '["shuffled", "adjacent"]'),
    ],
)
def test_what_is_new_to_a_plan_is_compared_within_one_run(
    old: str, new: str, tmp_path: Path
) -> None:
    cells = matrix.cells(config.parse(PLAN.replace(old, new), origin="t.toml"))
    assert set(CELLS) < set(cells)
    assert taken(tmp_path, run_with(tmp_path / "a", list(CELLS)), cells=cells) == {}


def test_a_plan_with_more_or_less_that_is_not_compared_takes_over_what_it_has(
    tmp_path: Path,
) -> None:
    text = PLAN.replace("repetitions = 2", "repetitions = 3").replace("[systems.sqlite]\n", "")
    cells = matrix.cells(config.parse(text, origin="t.toml"))
    found = taken(tmp_path, run_with(tmp_path / "a", list(CELLS)), cells=cells)
    assert set(found) == {c.cell_id for c in CELLS if c.system == "plain"}


def test_another_host_or_version_has_nothing_to_take_over(tmp_path: Path) -> None:
    for n, (name, text) in enumerate(
        (("kernel", "0.1"), ("package numpy", "0.1"), ("workspace file system", "x"), ("new", "x"))
    ):
        other = run_with(tmp_path / f"r{n}", block(), recorded={name: text})
        assert taken(tmp_path, other) == {}, name


def test_what_only_other_systems_of_a_plan_need_makes_no_difference(tmp_path: Path) -> None:
    more = {"package some-driver": "1", "volume btrfs": "mkfs", "workspace free": "1 B"}
    assert len(taken(tmp_path, run_with(tmp_path / "a", block(), recorded=more))) == BLOCK


def test_what_a_server_of_ones_own_gave_is_not_taken_over(tmp_path: Path) -> None:
    address = RemoteAddress("db.example.org", 5432, "lab")
    cells = [replace(cell, remote=address) for cell in block()]
    assert taken(tmp_path, run_with(tmp_path / "a", cells), cells=tuple(cells)) == {}


def test_a_run_begins_with_what_it_takes_over_and_outlives_where_that_came_from(
    tmp_path: Path,
) -> None:
    source = run_with(tmp_path / "a", block())
    ids = tuple(c.cell_id for c in block())
    header = RunHeader("b", "t", "d", 1, 1, ids, taken_over=dict.fromkeys(ids, "a"))
    run = Run.create(tmp_path / "b", header, "", dict.fromkeys(ids, source))
    whole = list(source.cells())
    with source.locked():
        source.set_aside(ids[0])  # what becomes of the source is no matter
    for path in (source.root / "cells" / ids[1]).iterdir():
        path.unlink()
    again = Run.open(run.root)
    assert list(again.cells()) == whole
    again.require_proven()
    assert again.taken_over == dict.fromkeys(ids, "a")
    with again.locked():
        again.set_aside(ids[0])
    assert again.taken_over == dict.fromkeys(ids[1:], "a")
