"""The trace of a cell: what is kept of it, and what it is read from."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from deduplab import config
from deduplab.bench import samples
from deduplab.bench.gauges import (
    FilesGauge,
    PacedGauge,
    ProcessGauge,
    ReplicasGauge,
    VolumeGauge,
)
from deduplab.bench.samples import Samples
from deduplab.errors import PlanError, ProbeError, StoreError
from deduplab.store import Run
from deduplab.trace import Mark, Trace
from tests.unit.test_store import CELL, RESULT, new_run

MARKS = (Mark(0, -1, "baseline"), Mark(5, 0, "bulk"))


def a_trace() -> Trace:
    taken = Samples(period_ns=100)
    taken.add(1100, {"files_allocated_bytes": 2.0**53})
    taken.add(1200, {"system_cpu_ns": 7})
    taken.missed_ticks = 3
    return taken.trace(1000, 99, MARKS, {"engine": "refused"}, 42)


def test_a_trace_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {}, a_trace())
    found = Run.open(tmp_path / "r").trace(CELL.cell_id)
    assert found is not None
    assert found.at_ns.tolist() == [100, 200]
    assert found.columns["files_allocated_bytes"][0] == 2**53
    assert math.isnan(found.columns["files_allocated_bytes"][1])
    assert math.isnan(found.columns["system_cpu_ns"][0])
    assert (found.marks, found.missed_ticks, found.kept_of) == (MARKS, 3, 1)
    assert (found.reasons, found.tracer_cpu_ns) == ({"engine": "refused"}, 42)
    assert (found.began_unix_ns, found.period_ns) == (99, 100)


def test_a_cell_without_a_trace_has_none(tmp_path: Path) -> None:
    run = new_run(tmp_path / "r")
    run.commit(RESULT, {})
    assert run.trace(CELL.cell_id) is None


def test_a_trace_without_a_column_is_kept_too() -> None:
    taken = Samples(period_ns=100)
    taken.add(5, {})
    found = Trace.from_bytes(taken.trace(0, 0, (), {}, 0).to_bytes(), "t")
    assert found.at_ns.tolist() == [5]
    assert not found.columns


def test_a_damaged_trace_is_refused_or_the_same() -> None:
    whole = a_trace().to_bytes()
    refused = 0
    for at in range(len(whole)):
        content = bytearray(whole)
        content[at] ^= 255
        try:
            found = Trace.from_bytes(bytes(content), "t")
        except StoreError:
            refused += 1
        else:  # what a zip says twice may differ, and what nobody reads
            assert found.columns.keys() == a_trace().columns.keys()
    assert refused > len(whole) / 2


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY"])
def test_what_is_no_trace_is_refused(content: bytes) -> None:
    with pytest.raises(StoreError, match="t is no trace"):
        Trace.from_bytes(content, "t")


def test_a_long_trace_is_thinned_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_SAMPLES", 8)
    taken = Samples(period_ns=10)
    for tick in range(100):
        taken.add(tick, {"a": tick} | ({"late": tick} if tick >= 50 else {}))
    found = taken.trace(0, 0, (), {}, 0)
    assert len(found.at_ns) <= 8
    assert found.kept_of == 16
    assert found.at_ns.tolist() == list(range(0, 100, 16))
    assert found.columns["a"].tolist() == list(range(0, 100, 16))
    assert np.isfinite(found.columns["late"]).tolist() == [tick >= 50 for tick in found.at_ns]


def test_processes_are_read_as_the_system_tells_them() -> None:
    burning = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{burning}\nprint(flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        found = ProcessGauge.client((child.pid,)).read()
        told = psutil.Process(child.pid)
        times, memory = told.cpu_times(), told.memory_info()
        ours = ProcessGauge.system((os.getpid(),), embedded=False).read()
        clients = (os.getpid(), child.pid)
        beside_clients = ProcessGauge.system(clients, embedded=False).read()
        both = ProcessGauge.client(clients).read()
        child.kill()
    assert found["client_cpu_ns"] == pytest.approx((times.user + times.system) * 1e9, abs=3e7)
    assert found["client_cpu_ns"] >= 2.5e8
    assert found["client_rss_bytes"] == pytest.approx(memory.rss, rel=0.1)
    assert ours["system_cpu_ns"] >= 2.5e8
    # A client is no process of the system; what else this process has begun, is.
    assert ours["system_cpu_ns"] - beside_clients.get("system_cpu_ns", 0) >= 2.5e8
    assert both["client_cpu_ns"] >= found["client_cpu_ns"] + 1e7
    assert not ProcessGauge.client((child.pid,)).read()


def test_files_and_volume_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 8192)
    directories = (tmp_path / "a").stat().st_blocks * 512
    assert FilesGauge(tmp_path).read() == {"files_allocated_bytes": directories}
    others = [tmp_path / "b", tmp_path / "c"]
    for other in others:
        other.mkdir()
        (other / "a").write_bytes(b"x" * 8192)
    alone = [FilesGauge(other).read()["files_allocated_bytes"] for other in others]
    assert ReplicasGauge(others).read() == {"replicas_allocated_bytes": sum(alone)}
    status = os.statvfs(tmp_path)
    used = VolumeGauge(tmp_path).read()["volume_used_bytes"]
    assert used == pytest.approx((status.f_blocks - status.f_bfree) * status.f_frsize, rel=0.05)


def test_a_dear_gauge_is_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr("deduplab.bench.gauges.time.perf_counter_ns", lambda: now[0])

    class Dear:
        name = "dear"
        share = 0.02
        cost_ns = staticmethod(lambda: now[0])
        reads = 0

        def read(self) -> dict[str, float]:
            self.reads += 1
            now[0] += 10_000_000
            return {"a": 1}

    dear = Dear()
    paced = PacedGauge(dear)
    known = []
    for tick in range(100):
        now[0] = max(now[0], tick * 100_000_000)
        known.append("a" in paced.read())
    assert dear.reads == sum(known) == 20  # 10 ms each: one in half a second is 2 %


def test_what_can_t_be_read_is_missing_with_its_reason() -> None:
    class Broken:
        name = "files"
        share = 0.02
        cost_ns = staticmethod(time.perf_counter_ns)

        def read(self) -> dict[str, float]:
            raise ProbeError("it is gone")

    paced = PacedGauge(Broken())
    assert not paced.read()
    assert paced.reason == "it is gone"


@pytest.mark.parametrize(
    ("given", "hz"), [("", 10.0), ("trace_hz = 0\n", 0.0), ("trace_hz = 2.5\n", 2.5)]
)
def test_a_plan_says_how_often(given: str, hz: float) -> None:
    assert config.parse(_plan(given), origin="t.toml").trace_hz == hz


@pytest.mark.parametrize("given", ["-1", "0.01", "101", "true", '"10"', "nan", "inf"])
def test_other_rates_are_refused(given: str) -> None:
    with pytest.raises(PlanError, match=r"t\.toml:1: .*samples a second, or 0 for no trace"):
        config.parse(_plan(f"trace_hz = {given}\n"), origin="t.toml")


def _plan(first: str) -> str:
    return (
        f'{first}name = "t"\nstages = ["bulk"]\n[data]\npayloads = ["random_binary"]\n'
        'grades = ["U0"]\nlogical_size = "1 MiB"\nobject_size = "8 KiB"\n[systems.plain]\n'
    )


_KILLED = """
import os, signal, sys, time
from pathlib import Path
from deduplab import registry
from deduplab.bench.tracer import Tracer, Watched
from deduplab.server import Endpoint
tracer = Tracer(50)
plain = registry.system("plain").adapter_class()
tracer.watch(Watched(plain, None, Endpoint(directory=Path(sys.argv[1])), None, True))
assert tracer.missing == "", tracer.missing
time.sleep(0.5)
if sys.argv[2] == "kill":
    os.kill(tracer.process_id, signal.SIGKILL)
tracer.finish()
print(tracer.missing or tracer.trace.at_ns.size)
tracer.close()
tracer.close()
"""


def _traced(directory: Path, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _KILLED, str(directory), how],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_tracer_samples_as_often_as_asked(tmp_path: Path) -> None:
    assert 13 <= int(_traced(tmp_path, "let it")) <= 28  # 25 and two at the ends, on a busy machine


def test_a_killed_tracer_is_told_and_harms_nothing(tmp_path: Path) -> None:
    assert "the tracer's process has ended" in _traced(tmp_path, "kill")


def test_a_tracer_ends_with_the_process_that_it_belongs_to(tmp_path: Path) -> None:
    script = _KILLED.replace("time.sleep(0.5)", "print(tracer.process_id, flush=True); input()")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as cell:
        assert cell.stdout is not None
        tracer = psutil.Process(int(cell.stdout.readline()))
        cell.kill()
        tracer.wait(10)
    assert not tracer.is_running()
