"""R on stores with known answers: copies are counted, and one that is behind is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from deduplab import config
from deduplab.adapters.plain import PlainAdapter
from deduplab.analysis import rows
from deduplab.analysis.row import Row
from deduplab.batch import Batch
from deduplab.bench import matrix
from deduplab.bench.lifecycle import BringUp, run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.rig import bring_up
from deduplab.cell import CellResult
from deduplab.model import Layer, Ruler
from tests.end_to_end.test_lifecycle import bring_up_with
from tests.report.factory import run_of

PLAN = """\
name = "replicas"
repetitions = 1
replicas = [1, 3]
stages = ["bulk", "read", "insert", "delete", "refill"]
[data]
payloads = ["random_binary"]
grades = ["U0", "U90"]
logical_size = "2 MiB"
object_size = "8 KiB"
[rest]
window_s = 0.05
interval_s = 0.01
deadline_s = 10
[systems.plain]
[systems.compressed]
"""


def measured(tmp_path: Path, text: str = PLAN, bring_up: BringUp = bring_up) -> list[Row]:
    """Run the cells, and return their figures."""
    results: list[CellResult] = []
    cache = ManifestCache(tmp_path / "manifests")
    for number, cell in enumerate(matrix.cells(config.parse(text, origin="plan.toml"))):
        instance = tmp_path / f"instance-{number}"
        instance.mkdir()
        result, _ = run_cell(cell, instance, cache, bring_up=bring_up)
        assert result.outcome.ok, result.outcome
        results.append(result)
    return rows(run_of(tmp_path / "run", results))


def value(found: list[Row], system: str, replicas: int, metric: str, layer: Layer) -> float:
    (row,) = [
        row
        for row in found
        if (row.system, row.replicas, row.metric) == (system, replicas, metric)
        and (row.layer, row.ruler) == (layer, Ruler.ALLOCATED)
        and (row.grade_asked, row.stage, row.moment) == ("U90", "bulk", "rest")
    ]
    assert row.value is not None, row.reason
    return row.value


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return measured(tmp_path_factory.mktemp("replicas"))


@pytest.mark.parametrize("system", ["plain", "compressed"])
def test_three_copies_take_three_times_the_bytes_and_each_saves_what_one_does(
    found: list[Row], system: str
) -> None:
    alone = value(found, system, 1, "edr", Layer.FILES)
    assert value(found, system, 3, "physical_copies", Layer.REPLICAS) == 3
    assert value(found, system, 3, "edr", Layer.REPLICAS) == pytest.approx(alone / 3, rel=0.01)
    assert value(found, system, 3, "edr_replica", Layer.REPLICAS) == pytest.approx(alone, rel=0.01)
    assert value(found, system, 3, "edr", Layer.FILES) == pytest.approx(alone, rel=0.01)
    assert value(found, system, 3, "dedup_efficiency", Layer.REPLICAS) == pytest.approx(0, abs=0.01)
    assert not [row for row in found if row.replicas == 1 and row.metric == "edr_replica"]


class Forgetful(PlainAdapter):
    """Its last mirror takes the first object of a batch alone."""

    def put_many(self, batch: Batch) -> int:
        last = self._mirrors[-1:]
        if not last:
            return super().put_many(batch)
        kept, self._mirrors = self._mirrors, self._mirrors[:-1]
        try:
            last[0].put(batch.keys[0], bytes(batch.data[: batch.offsets[1]]))
            return super().put_many(batch)
        finally:
            self._mirrors = kept


def test_a_copy_that_is_behind_is_not_counted(tmp_path: Path) -> None:
    """R is 2 where three were asked for: else a lagging replica would look like a saving."""
    text = PLAN.replace("[systems.compressed]\n", "").replace("replicas = [1, 3]", "replicas = 3")
    text = text.replace(', "insert", "delete", "refill"', "")
    found = measured(tmp_path, text, bring_up_with(Forgetful))
    assert value(found, "plain", 3, "physical_copies", Layer.REPLICAS) == 2
    whole = value(found, "plain", 3, "edr", Layer.REPLICAS)
    assert value(found, "plain", 3, "edr_replica", Layer.REPLICAS) == pytest.approx(2 * whole)
