"""An open loop on the real clock: a stall of known length, from the plan to the page."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from deduplab import config
from deduplab.adapter import Adapter
from deduplab.adapters.null import NullAdapter
from deduplab.analysis import rows
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.errors import StoreError
from deduplab.model import Stage
from deduplab.record import Stored
from deduplab.report import html
from deduplab.store import Run, RunHeader
from tests.end_to_end.conftest import Cli
from tests.end_to_end.test_lifecycle import bring_up_with

RATE = 400
GAP_NS = 2_500_000
STALL_NS = 250_000_000
AT, OPERATIONS = 100, 400
SLACK_NS = 100_000_000
"""How much longer than by hand it may take on a machine that does other things, too."""

PLAN = f"""\
name = "stalled"
repetitions = 1
RATE
stages = ["bulk", "insert"]
trace_hz = 0
[data]
payloads = ["random_binary"]
grades = ["U0"]
logical_size = "{OPERATIONS} KiB"
object_size = "1 KiB"
insert_share = "100 %"
[systems.null]
"""


class StallingAdapter(NullAdapter):
    """Discards what it gets, and takes 250 ms for one object of insert."""

    def __init__(self) -> None:
        super().__init__()
        self._put = 0

    def put(self, key: str, payload: Stored) -> None:
        if self._put == AT:
            time.sleep(STALL_NS / 1e9)
        self._put += 1
        super().put(key, payload)


class SlowAdapter(NullAdapter):
    """Discards what it gets, and takes a millisecond for one object of insert."""

    def put(self, key: str, payload: Stored) -> None:
        time.sleep(0.001)
        super().put(key, payload)


def run_of(tmp_path: Path, rate: str, adapter: type[Adapter] = StallingAdapter) -> Run:
    """Run the only cell of the plan and commit it, as an executor does."""
    text = PLAN.replace("RATE", rate)
    (cell,) = matrix.cells(config.parse(text, origin="stalled.toml"))
    name = re.sub(r"\W", "", rate) or "closed"
    instance = tmp_path / f"instance-{name}"
    instance.mkdir()
    result, latencies_ns = run_cell(
        cell,
        instance,
        ManifestCache(tmp_path / "manifests"),
        bring_up=bring_up_with(adapter),
    )
    assert result.outcome.ok, result.outcome
    header = RunHeader(name, "stalled", "0" * 16, 1, 0, (cell.cell_id,))
    run = Run.create(tmp_path / name, header, text)
    run.commit(result, latencies_ns)
    return run


def figures(run: Run) -> dict[str, float]:
    return {row.metric: row.value for row in rows(run) if row.stage == "insert" and row.value}


def test_the_queue_behind_a_stall_is_in_the_latencies_of_an_open_loop(tmp_path: Path) -> None:
    """By hand: 100 objects are due during the stall, and each waits 2.5 ms less than the last.

    So the longest is 250 ms, and p99, which is the fifth of 400, 240 ms.
    """
    run = run_of(tmp_path, f"rate = {RATE}")
    found = figures(run)
    for metric, expected_ns in (("latency_max_ns", STALL_NS), ("latency_p99_ns", 240_000_000)):
        assert expected_ns <= found[metric] <= expected_ns + SLACK_NS
    assert STALL_NS <= found["service_max_ns"] <= STALL_NS + SLACK_NS
    assert found["service_p99_ns"] < 240_000_000
    assert found["offered_per_s"] == RATE
    assert found["objects_per_s"] == pytest.approx(RATE, rel=0.1)
    assert found["objects_per_s"] <= RATE * (1 + 1e-9)
    assert "saturated" not in found  # 0: the queue has emptied

    (result,) = run.cells()
    insert = result.measurements[1]
    latency_ns = run.latencies_ns(result.cell.cell_id, 1, insert.operations)
    waited_ns = latency_ns - run.service_ns(result.cell.cell_id, 1, insert.operations)
    assert (waited_ns >= 0).all()
    behind = np.arange(1, STALL_NS // GAP_NS)
    assert (waited_ns[AT + behind] >= STALL_NS - behind * GAP_NS).all()
    assert insert.rate_per_s == RATE
    assert insert.duration_ns >= OPERATIONS * GAP_NS
    assert result.measurements[0].rate_per_s is None


def test_a_closed_loop_tells_of_one_slow_operation(tmp_path: Path) -> None:
    run = run_of(tmp_path, "")
    found = figures(run)
    assert found["latency_max_ns"] >= STALL_NS
    assert found["latency_p99_ns"] < 100_000_000
    assert not {"offered_per_s", "service_p99_ns"} & set(found)
    assert not list(run.root.glob("cells/*/service-*"))


def test_what_a_system_can_not_do_is_told_as_saturated(tmp_path: Path) -> None:
    """At 1 000 000/s a store that takes 1 ms is later each time."""
    run = run_of(tmp_path, "rate = 1000000", SlowAdapter)
    found = {row.metric: row for row in rows(run) if row.stage == "insert"}
    assert found["saturated"].value == 1
    assert "it did not keep up with 1000000/s" in found["latency_p99_ns"].reason
    assert "it did not keep up with 1000000/s" in found["objects_per_s"].reason
    assert {row.rate_per_s for row in rows(run)} == {1_000_000.0}
    page = html.render(run)
    assert 'id="open-loops"' in page
    assert "open, 1000000/s <b" in page
    assert ">saturated</b>" in page


def test_service_times_that_are_lost_are_damage(tmp_path: Path) -> None:
    run = run_of(tmp_path, f"rate = {RATE}")
    (path,) = run.root.glob("cells/*/service-*.npy")
    assert path.name == "service-1.npy"
    path.unlink()
    with pytest.raises(StoreError, match=r"service-1\.npy"):
        rows(run)


def test_the_whole_way_from_a_plan_to_the_console(cli: Cli, tmp_path: Path) -> None:
    text = PLAN.replace("RATE", 'rates = ["closed", 500]\narrivals = "poisson"')
    text = text.replace('"insert"]', '"read", "insert", "delete"]\n').replace("null", "sqlite")
    plan = tmp_path / "open.toml"
    plan.write_text(text)
    told = cli("plan", plan)
    assert "closed loop, 500/s; poisson arrivals" in told.stdout
    done = cli("run", plan, columns=220)
    assert done.returncode == 0, done.stderr
    table = done.stdout.partition("Open loops")[2]
    for stage in (Stage.READ, Stage.INSERT, Stage.DELETE):
        assert re.search(rf"sqlite at 500/s\W.*\W{stage}\W+500\W.*\Wyes\W", table), table
