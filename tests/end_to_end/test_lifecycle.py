"""What fails, is refused, cut short or merely queued never counts as stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from deduplab import config, registry
from deduplab.adapter import Adapter
from deduplab.adapters.single_instance import SingleInstanceAdapter
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.rig import NAMESPACE, Rig, watched
from deduplab.cell import Cell, CellResult
from deduplab.errors import SystemUnavailable
from deduplab.model import Layer, OutcomeKind, Stage
from deduplab.record import RecordType
from deduplab.servers.embedded import EmbeddedServer
from deduplab.testing import FAULTS, faulty_class

PLAN = """\
name = "t"
repetitions = 1
stages = ["bulk", "read", "reclaim", "insert", "delete", "reclaim", "refill"]
[data]
payloads = ["random_binary"]
grades = ["U50"]
distances = ["shuffled"]
logical_size = "512 KiB"
object_size = "8 KiB"
insert_share = "25 %"
batch_size = "64 KiB"
read_objects = 16
[rest]
window_s = 0.02
interval_s = 0.005
deadline_s = 0.3
[systems.plain]
[systems.single_instance]
[systems.null]
"""

CELLS = {cell.system: cell for cell in matrix.cells(config.parse(PLAN, origin="t.toml"))}


def bring_up_with(
    adapter_class: type[Adapter],
) -> Callable[[Cell, Path, RecordType | None], AbstractContextManager[Rig]]:
    @contextmanager
    def up(cell: Cell, workspace: Path, record_type: RecordType | None) -> Iterator[Rig]:
        server = EmbeddedServer(
            workspace,
            variant=cell.variant,
            durability=cell.durability,
            replicas=cell.replicas,
        )
        adapter = adapter_class()
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create(
            NAMESPACE,
            layout=cell.layout,
            variant=cell.variant,
            durability=cell.durability,
            record_type=record_type,
        )
        try:
            yield watched(adapter, server, endpoint)
        finally:
            adapter.close()

    return up


def measured(
    tmp_path: Path, adapter_class: type[Adapter] | None = None, system: str = "single_instance"
) -> CellResult:
    instance = tmp_path / "instance"
    instance.mkdir()
    result, _ = run_cell(
        CELLS[system],
        instance,
        ManifestCache(tmp_path / "manifests"),
        bring_up=bring_up_with(adapter_class or registry.system(system).adapter_class()),
    )
    return result


def test_a_sound_store_counts(tmp_path: Path) -> None:
    result = measured(tmp_path, system="single_instance")
    assert result.outcome.ok, result.outcome
    assert [m.stage for m in result.measurements] == list(CELLS["single_instance"].stages)
    assert result.bulk_manifest is not None
    assert result.bulk_manifest.objects == 64
    bulk = result.measurements[0]
    assert (bulk.acknowledged, bulk.objects) == (64, 64)
    assert bulk.operations == 8  # batches of 64 KiB
    assert [moment.name for moment in bulk.moments] == ["flush", "rest"]
    client = bulk.moments[1].footprint.reading(Layer.CLIENT)
    assert client is not None
    assert client.total_bytes == 512 * 1024
    assert {missing.layer for missing in bulk.moments[1].footprint.missing} >= {Layer.VOLUME}


def test_the_third_moment_is_maintenance_on_the_filled_container(tmp_path: Path) -> None:
    result = measured(tmp_path, system="single_instance")
    reclaims = [m for m in result.measurements if m.stage is Stage.RECLAIM]
    assert [m.filled for m in reclaims] == [True, False]


FAILS = {"fail", "delete_fails"}
CENSORS = {"restless"}
COUNTS = {"no_reading"}  # a layer that is missing, with its reason, and nothing worse
RETRIED = {"unavailable"}


@pytest.mark.parametrize("at", [0, 63])
@pytest.mark.parametrize("fault", sorted(set(FAULTS) - CENSORS - COUNTS - RETRIED))
def test_no_fault_counts_as_stored(fault: str, at: int, tmp_path: Path) -> None:
    result = measured(tmp_path, faulty_class(SingleInstanceAdapter, fault, at=at))
    expected = OutcomeKind.FAILED if fault in FAILS else OutcomeKind.INVALID
    assert result.outcome.kind is expected, result.outcome
    assert result.outcome.reason
    for measurement in result.measurements[:-1]:
        assert measurement.outcome.kind in (OutcomeKind.OK, OutcomeKind.UNSUPPORTED)


@pytest.mark.parametrize("fault", sorted({"fail", "refuse", "short", "queued_only", "corrupt"}))
def test_a_fault_in_the_insert_stage_is_found_too(fault: str, tmp_path: Path) -> None:
    result = measured(tmp_path, faulty_class(SingleInstanceAdapter, fault, at=64))
    assert not result.outcome.ok
    assert result.outcome.reason.startswith("insert: ")
    assert result.measurements[0].outcome.ok


def test_a_system_that_goes_away_is_retried_and_not_counted(tmp_path: Path) -> None:
    with pytest.raises(SystemUnavailable):
        measured(tmp_path, faulty_class(SingleInstanceAdapter, "unavailable"))


def test_a_layer_that_the_system_does_not_tell_is_missing_and_not_zero(tmp_path: Path) -> None:
    result = measured(tmp_path, faulty_class(SingleInstanceAdapter, "no_reading"))
    assert result.outcome.ok
    assert result.baseline is not None
    assert result.baseline.footprint.reading(Layer.ENGINE) is None
    reasons = {missing.layer: missing.reason for missing in result.baseline.footprint.missing}
    assert "does not tell" in reasons[Layer.ENGINE]


def test_a_system_that_never_rests_is_censored_with_its_curve(tmp_path: Path) -> None:
    result = measured(tmp_path, faulty_class(SingleInstanceAdapter, "restless"))
    assert result.baseline is not None
    assert result.baseline.rest is not None
    assert result.baseline.rest.settled
    rest = result.measurements[0].moments[-1].rest
    assert rest is not None
    assert not rest.settled
    assert rest.busy == {"injected": 1}
    assert rest.curve


def test_what_a_system_has_not_is_unsupported_and_ends_nothing(tmp_path: Path) -> None:
    result = measured(tmp_path, system="null")
    assert result.outcome.ok
    unsupported = {m.stage for m in result.measurements if not m.outcome.ok}
    assert unsupported == {Stage.READ, Stage.RECLAIM}


def test_a_manifest_that_does_not_match_the_data_is_invalid(tmp_path: Path) -> None:
    first = measured(tmp_path)
    assert first.outcome.ok
    for path in (tmp_path / "manifests").iterdir():
        text = path.read_text()
        digest = text.split('"digest":"')[1].split('"')[0]
        path.write_text(text.replace(digest, "0" * len(digest)))
    second = tmp_path / "second"
    second.mkdir()
    result, _ = run_cell(CELLS["single_instance"], second, ManifestCache(tmp_path / "manifests"))
    assert result.outcome.kind is OutcomeKind.INVALID
    assert "manifest" in result.outcome.reason
