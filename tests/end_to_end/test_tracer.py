"""Traces of whole runs, held against what the cells' own measurements say."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from deduplab.cell import CellResult
from deduplab.model import Layer, Measurement
from deduplab.store import Run
from deduplab.trace import FILES_COLUMN, Mark, Trace
from tests.end_to_end.conftest import Cli

PLAN = """\
name = "traced"
trace_hz = {hz}
stages = ["bulk", "insert", "delete", "reclaim"]
[data]
payloads = ["random_binary"]
grades = ["U50"]
logical_size = "4 MiB"
object_size = "8 KiB"
insert_share = "25 %"
batch_size = "1 MiB"
[rest]
window_s = 0.6
interval_s = 0.05
deadline_s = 20
[systems.{system}]
"""


def traced(tmp_path: Path, cli: Cli, system: str, hz: float = 20) -> tuple[CellResult, Run]:
    plan = tmp_path / "p.toml"
    plan.write_text(PLAN.format(system=system, hz=hz))
    done = cli("run", plan)
    assert done.returncode == 0, done.stdout + done.stderr
    run = Run.open(next(root for root in (tmp_path / "runs").iterdir() if root.is_dir()))
    results = list(run.cells())
    assert all(result.outcome.ok for result in results), [result.outcome for result in results]
    return results[0], run


def trace_of(result: CellResult, run: Run) -> Trace:
    trace = run.trace(result.cell.cell_id)
    assert trace is not None, result.no_trace
    return trace


def bytes_at_rest(measurement: Measurement) -> int:
    files = measurement.moments[-1].footprint.reading(Layer.FILES)
    assert files is not None
    return files.total_bytes


@pytest.mark.parametrize("system", ["rest", "postgresql"])
def test_a_trace_ends_each_rest_where_the_measurement_does(
    system: str, tmp_path: Path, cli: Cli
) -> None:
    result, run = traced(tmp_path, cli, system)
    trace = trace_of(result, run)
    assert not trace.reasons
    assert any(name.startswith("engine_") for name in trace.columns)
    names = [(mark.position, mark.name) for mark in trace.marks]
    stages = [one.stage.value for one in result.measurements]
    assert stages[:4] == ["bulk", "insert", "delete", "reclaim"]
    within = [
        (position, name)
        for position, stage in enumerate(stages)
        for name in (stage, "flush", "rest", "proof")
    ]
    assert names == [(-1, "baseline"), *within, (-1, "end")]
    for begin, end in itertools.pairwise(trace.marks):
        # PostgreSQL has many files: a walk through them is too dear to be made in each rest.
        if begin.name == "rest" and system != "postgresql":
            last = last_known(trace, FILES_COLUMN, begin, end)
            assert last == pytest.approx(
                bytes_at_rest(result.measurements[begin.position]), rel=0.01, abs=64 * 1024
            )
    for name in (FILES_COLUMN, "system_cpu_ns", "client_cpu_ns", "system_write_bytes"):
        known = trace.columns[name][np.isfinite(trace.columns[name])]
        assert known.max() > known[0], name


def last_known(trace: Trace, name: str, begin: Mark, end: Mark) -> float:
    within = (trace.at_ns >= begin.at_ns) & (trace.at_ns < end.at_ns)
    values = trace.columns[name][within]
    known = values[np.isfinite(values)]
    assert known.size, f"nothing of {name} while it came to rest"
    return float(known[-1])


def test_an_embedded_engine_is_seen_by_its_files_and_its_process(tmp_path: Path, cli: Cli) -> None:
    result, run = traced(tmp_path, cli, "sqlite", hz=100)
    trace = trace_of(result, run)
    assert set(trace.columns) == {FILES_COLUMN} | {
        f"system_{name}" for name in ("cpu_ns", "rss_bytes", "read_bytes", "write_bytes")
    }
    files = trace.columns[FILES_COLUMN]
    assert np.nanmax(files) >= 4 * 1024 * 1024
    assert (np.diff(trace.at_ns) > 0).all()


def test_no_trace_is_taken_where_none_is_asked_for(tmp_path: Path, cli: Cli) -> None:
    result, run = traced(tmp_path, cli, "plain", hz=0)
    assert run.trace(result.cell.cell_id) is None
    assert not result.no_trace
