"""Runs to export, and what tests of all targets look at."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import tarfile
import zipfile
from pathlib import Path

from deduplab.exports.content import gathered
from deduplab.exports.export import Exported, export
from deduplab.exports.target import Target
from deduplab.model import OutcomeKind
from deduplab.store import PlannedCell, Run
from tests.report.factory import DUCKDB, PLAIN, failed, latencies_of, matrix, run_of
from tests.report.trace_factory import asking, traced_run, usual_trace

RUN_ID = "2026-11-23-quick"


NOT_RUN = "a" * 20


def a_run(root: Path) -> Run:
    """Make a run with cells of every end: some count, one is censored, one was not run."""
    plain, *others = matrix([PLAIN], grades=(0, 50))
    duckdb = matrix([dataclasses.replace(DUCKDB, censored="bulk")], grades=(0,))[0]
    run = traced_run(
        root,
        [(asking(plain), usual_trace())],
        [
            failed(others[0], OutcomeKind.FAILED, "bulk: it was killed"),
            failed(others[1], OutcomeKind.INVALID, 'proof: "1 of 8" differ,\nsee there'),
            duckdb,
        ],
    )
    header = json.loads((run.root / "run.json").read_bytes())
    header["cell_ids"].append(NOT_RUN)
    missing = PlannedCell(NOT_RUN, "redis", "default", "random_binary", ("bulk",))
    header["planned"] = [
        dataclasses.asdict(planned)
        for planned in (*(PlannedCell.of(result.cell) for result in run.cells()), missing)
    ]
    (run.root / "run.json").write_text(json.dumps(header))
    run = Run.open(run.root)
    run.keep_not_run({NOT_RUN: "redis is not here"})
    return run


def finished_run(root: Path) -> Run:
    """Make a run of one cell, as ``run`` leaves it."""
    run = run_of(root, matrix([PLAIN], grades=(0,)))
    (run.root / "report.html").write_text("the report")
    return run


def one_more(run: Run) -> None:
    """Commit a cell that the run did not have, as one that is gone on with."""
    result = matrix([DUCKDB], grades=(90,), distances=("adjacent",))[0]
    run.commit(result, latencies_of(result))


def brought(run: Run, target: Target, *, damaged_too: bool = False) -> Exported:
    with run.locked(), gathered(run, damaged_too=damaged_too) as content:
        return export(run, content, target)


def damage(run: Run) -> Path:
    """Flip a bit of a file that no figure is made of."""
    path = sorted(run.root.glob("cells/*/latency-1.npy"))[0]
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    return path


def require_sound(folder: Path) -> None:
    """Have the checksums of an export checked by the program that they are written for."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {*listed, "SHA256SUMS"}


def opened_up(content: bytes) -> bytes:
    """Return bytes with what is packed in them, as deep as it goes."""
    found = [content]
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found += [opened_up(archive.read(name)) for name in archive.namelist()]
    elif content[:2] == b"\x1f\x8b":
        with tarfile.open(fileobj=io.BytesIO(content)) as packed:
            members = (packed.extractfile(entry) for entry in packed)
            found += [opened_up(member.read()) for member in members if member]
    elif content[:4] == b"PAR1":
        import pyarrow.parquet as pq

        found.append(str(pq.read_table(io.BytesIO(content)).to_pylist()).encode())
    return b"\n".join(found)
