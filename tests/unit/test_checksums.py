"""A committed cell proves what it holds: each of its files, whatever it is."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from deduplab.analysis import Figures
from deduplab.checksums import FILE_NAME, read_proven, require_proven, write_checksums
from deduplab.errors import StoreError
from deduplab.store import Run
from tests.report.factory import SQLITE, matrix, run_of


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_of(tmp_path, matrix([SQLITE], grades=(0,)))


@pytest.fixture
def cell(run: Run) -> Path:
    (directory,) = (run.root / "cells").iterdir()
    return directory


def test_each_flipped_bit_of_each_file_is_noticed_and_the_file_named(run: Run, cell: Path) -> None:
    chance = random.Random(7)
    for path in sorted(cell.iterdir()):
        whole = path.read_bytes()
        for _ in range(20):
            raw = bytearray(whole)
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            path.write_bytes(raw)
            for look in (lambda: run.whole_cell(cell.name), run.require_proven):
                with pytest.raises(StoreError, match=path.name):
                    look()
        path.write_bytes(whole)
    assert run.whole_cell(cell.name) == run.cell(cell.name)


def test_what_is_read_is_proven_as_it_is_read(run: Run, cell: Path) -> None:
    for name, read in (
        ("cell.json", lambda: run.cell(cell.name)),
        ("latency-0.npy", lambda: run.latencies_ns(cell.name, 0)),
    ):
        path = cell / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
        with pytest.raises(StoreError, match=f"{path} is damaged"):
            read()
        path.unlink()
        with pytest.raises(StoreError, match=str(path)):
            read()
        path.write_bytes(whole)
        read()


def test_whoever_needs_all_files_reads_each_once(run: Run, cell: Path) -> None:
    """Also what no figure is made of is looked at, and damage of it is found."""
    opened: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(f"{cell}/"):
            opened.append(Path(str(arguments[0])).name)

    sys.addaudithook(note)  # there is no way to take it away: it is told nothing after this test
    (cell / "trace.npz").write_bytes(b"abc")
    (cell / FILE_NAME).unlink()
    write_checksums(cell)
    opened.clear()
    once = run.read_once()
    Figures.of(once)
    once.require_proven()
    assert sorted(opened) == sorted(path.name for path in cell.iterdir())
    (cell / "trace.npz").write_bytes(b"abd")
    once = run.read_once()
    Figures.of(once)
    with pytest.raises(StoreError, match=r"trace\.npz is damaged"):
        once.require_proven()


def test_files_of_any_name_are_proven(tmp_path: Path) -> None:
    (tmp_path / "trace.npz").write_bytes(b"abc")
    write_checksums(tmp_path)
    require_proven(tmp_path)
    (tmp_path / "trace.npz").write_bytes(b"abd")
    with pytest.raises(StoreError, match=r"trace\.npz is damaged"):
        require_proven(tmp_path)
    (tmp_path / "trace.npz").unlink()
    with pytest.raises(StoreError, match=r"trace\.npz is missing"):
        require_proven(tmp_path)
    (tmp_path / "other").write_bytes(b"")
    with pytest.raises(StoreError, match="other is damaged"):
        read_proven(tmp_path / "other")  # nobody committed it


def test_cells_without_checksums_are_read_as_before(run: Run, cell: Path) -> None:
    before = run.cell(cell.name)
    (cell / FILE_NAME).unlink()
    run.require_proven()
    assert run.whole_cell(cell.name) == before
    assert run.latencies_ns(cell.name, 0).size
    (cell / "latency-0.npy").unlink()
    assert run.latencies_ns(cell.name, 0).size == 0
