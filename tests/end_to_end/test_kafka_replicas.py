"""Kafka with one broker and with three, by one plan: what replicas cost, and what each saves."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from deduplab import config
from deduplab.analysis import rows
from deduplab.analysis.row import Row
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.rig import Rig, bring_up
from deduplab.cell import Cell
from deduplab.errors import SystemUnavailable
from deduplab.model import Layer, Stage
from deduplab.record import RecordType
from deduplab.servers._members import Members
from deduplab.store import Run
from tests.end_to_end.conftest import Cli
from tests.end_to_end.products import Missing

pytestmark = pytest.mark.server

MOMENTS: Final = ("flush", "rest", "reclaim")

PLAN: Final = """\
name = "replicated"
repetitions = 1
replicas = [1, 3]
stages = ["bulk", "reclaim"]
trace_hz = 0
[data]
payloads = ["random_binary"]
grades = ["U50"]
distances = ["shuffled"]
logical_size = "4 MiB"
object_size = "8 KiB"
insert_share = "5 %"
[rest]
window_s = 0.5
interval_s = 0.05
deadline_s = 60
[systems.kafka]
variants = ["compact-by-hash"]
"""


def test_three_brokers_keep_three_copies_each_like_the_only_one(
    cli: Cli, tmp_path: Path, not_brought_up: Missing
) -> None:
    plan = tmp_path / "replicated.toml"
    plan.write_text(PLAN)
    done = cli("run", plan, "--runs", tmp_path / "runs", timeout_s=400)
    (root,) = (tmp_path / "runs").iterdir()
    run = Run.open(root)
    results = {result.cell.replicas: result for result in run.cells()}
    if not results:
        not_brought_up("kafka", SystemUnavailable(done.stderr))
    assert done.returncode == 0, done.stderr
    assert set(results) == {1, 3}
    for result in results.values():
        assert result.outcome.ok, result.outcome
        assert result.attempts == 1
    for measurement in results[3].measurements:
        for one in measurement.moments:
            for reading in one.footprint.readings:
                if reading.layer is Layer.REPLICAS:
                    assert reading.copies == 3
                    assert list(reading.components) == ["broker-1", "broker-2", "broker-3"]
    found = list(rows(run))
    assert not [row for row in found if row.layer == "REPLICAS" and row.replicas == 1 and row.ok]
    for moment in MOMENTS:
        assert the(found, "physical_copies", 3, "REPLICAS", moment) == 3
        edr = the(found, "edr", 3, "REPLICAS", moment)
        assert the(found, "edr_replica", 3, "REPLICAS", moment) == pytest.approx(3 * edr)
    # When all have cleaned, each copy is as large as the only one of a single broker.
    each = the(found, "edr_replica", 3, "REPLICAS", "reclaim")
    assert each == pytest.approx(the(found, "edr", 1, "FILES", "reclaim"), rel=0.02)
    assert each > 1.8  # U50 by hash


def the(found: list[Row], metric: str, replicas: int, layer: str, moment: str) -> float:
    """Return the only value of a metric after bulk, of allocated bytes."""
    (row,) = (
        row
        for row in found
        if (row.metric, row.replicas, row.layer, row.stage, row.moment)
        == (metric, replicas, layer, "bulk", moment)
        and row.ruler == "allocated"
    )
    assert row.value is not None, row
    return row.value


def test_a_broker_that_is_killed_in_a_stage_is_named_as_the_cause(
    tmp_path: Path, not_brought_up: Missing
) -> None:
    text = PLAN.replace("[1, 3]", "2").replace('"reclaim"]', '"insert"]')
    (cell,) = matrix.cells(config.parse(text, origin="replicated.toml"))
    servers: list[Members] = []

    @contextmanager
    def noted(cell: Cell, workspace: Path, record_type: RecordType | None) -> Iterator[Rig]:
        with bring_up(cell, workspace, record_type) as rig:
            assert isinstance(rig.server, Members)
            servers.append(rig.server)
            yield rig

    def strike(position: int, stage: Stage) -> None:
        if stage is Stage.INSERT:
            os.kill(servers[0].processes()[-1], signal.SIGKILL)

    instance = tmp_path / "instance"
    instance.mkdir()
    with pytest.raises(SystemUnavailable) as caught:
        run_cell(cell, instance, ManifestCache(tmp_path / "m"), notify=strike, bring_up=noted)
    if not servers:
        not_brought_up("kafka", caught.value)
    told = str(caught.value)
    assert told.startswith("the server ended during the stage insert: broker-2: Kafka was killed")
    assert servers[0].processes() == ()
