"""Which cells of earlier runs a new run may take over: of a host like this, whole blocks first."""

from __future__ import annotations

from collections import Counter
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
    found = earlier_cells(runs, cells, tmp_path)
    assert found.taken.keys() | found.left.keys() == {cell.cell_id for cell in cells}
    assert not found.taken.keys() & found.left.keys()
    return {k: run.root.name for k, run in found.taken.items()}


def left(tmp_path: Path, *runs: Run, cells: tuple[Cell, ...] = CELLS) -> Counter[str]:
    return Counter(earlier_cells(runs, cells, tmp_path).left.values())


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


def test_a_block_that_no_run_has_whole_is_taken_cell_by_cell(tmp_path: Path) -> None:
    first = run_with(tmp_path / "a", block()[:3])
    second = run_with(tmp_path / "b", block()[2:])
    found = {cell_id: name for cell_id, name in taken(tmp_path, first, second).items()}
    assert found == {c.cell_id: "a" for c in block()[:3]} | {block()[3].cell_id: "b"}


@pytest.mark.parametrize("kind", [OutcomeKind.FAILED, OutcomeKind.INVALID])
def test_a_cell_that_does_not_count_is_left_with_the_reason(
    kind: OutcomeKind, tmp_path: Path
) -> None:
    bad = {block()[1].cell_id: Outcome(kind, "why")}
    run = run_with(tmp_path / "a", block(), bad)
    assert set(taken(tmp_path, run)) == {c.cell_id for c in block()} - bad.keys()
    reasons = left(tmp_path, run)
    assert reasons[f"it is {kind.value} in run a"] == 1
    assert reasons["no run of another plan here has it"] == 3 * BLOCK
    other = run_with(tmp_path / "b", block()[1:2])
    assert set(taken(tmp_path, run, other)) == {c.cell_id for c in block()}


def test_a_block_in_which_a_system_has_no_such_stage_is_taken_over(tmp_path: Path) -> None:
    lacking = {block()[1].cell_id: Outcome(OutcomeKind.UNSUPPORTED, "no such layout")}
    assert len(taken(tmp_path, run_with(tmp_path / "a", block(), lacking))) == BLOCK


def test_a_damaged_cell_is_left_with_the_reason(tmp_path: Path) -> None:
    run = run_with(tmp_path / "a", [*block(), *block("uuid_keys")])
    damaged = block()[2].cell_id
    path = run.root / "cells" / damaged / "cell.json"
    path.write_bytes(path.read_bytes().replace(b"plain", b"plaim").replace(b"sqlite", b"sqlitf"))
    assert set(taken(tmp_path, run)) == run.committed_ids() - {damaged}
    assert left(tmp_path, run)["run a has it, and it is damaged there"] == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[systems.plain]", "[systems.null]\n[systems.plain]"),
        ("[systems.sqlite]", '[systems.sqlite]\nvariants = ["default", "page-64k"]'),
        ("[data]", 'layouts = ["blob", "native"]\n[data]'),
        ('"U50"]', '"U50", "U90"]'),
        ('["shuffled"]', '["shuffled", "adjacent"]'),
    ],
)
def test_a_plan_with_more_that_is_compared_takes_over_all_that_is_the_same(
    old: str, new: str, tmp_path: Path
) -> None:
    cells = matrix.cells(config.parse(PLAN.replace(old, new), origin="t.toml"))
    assert set(CELLS) < set(cells)
    run = run_with(tmp_path / "a", list(CELLS))
    assert set(taken(tmp_path, run, cells=cells)) == {c.cell_id for c in CELLS}
    more = len(cells) - len(CELLS)
    assert left(tmp_path, run, cells=cells) == {"no run of another plan here has it": more}


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
        reasons = left(tmp_path, other)
        (said,) = [words for words in reasons if words.startswith(f"run r{n} measured it in")]
        assert name in said
        assert reasons[said] == BLOCK


def test_what_only_other_systems_of_a_plan_need_makes_no_difference(tmp_path: Path) -> None:
    more = {"package some-driver": "1", "volume btrfs": "mkfs", "workspace free": "1 B"}
    assert len(taken(tmp_path, run_with(tmp_path / "a", block(), recorded=more))) == BLOCK


def test_what_a_server_of_ones_own_gave_is_not_taken_over(tmp_path: Path) -> None:
    address = RemoteAddress("db.example.org", 5432, "lab")
    cells = [replace(cell, remote=address) for cell in block()]
    run = run_with(tmp_path / "a", cells)
    assert taken(tmp_path, run, cells=tuple(cells)) == {}
    assert all("server of one's own" in words for words in left(tmp_path, run, cells=tuple(cells)))


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
