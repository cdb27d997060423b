"""What fails, is refused, cut short or merely queued never counts as stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from deduplab import config, registry
from deduplab.adapter import Adapter
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.rig import NAMESPACE, Rig, watched
from deduplab.errors import SystemUnavailable
from deduplab.model import Cell, CellResult, Identity, Layer, OutcomeKind, Stage
from deduplab.servers.embedded import EmbeddedServer
from deduplab.testing import FaultyAdapter

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
    wrap: Callable[[Adapter], Adapter],
) -> Callable[[Cell, Path], AbstractContextManager[Rig]]:
    @contextmanager
    def up(cell: Cell, workspace: Path) -> Iterator[Rig]:
        server = EmbeddedServer(workspace, variant=cell.variant, durability=cell.durability)
        adapter = wrap(registry.system(cell.system).adapter_class()())
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create(
            NAMESPACE, layout=cell.layout, variant=cell.variant, durability=cell.durability
        )
        try:
            yield watched(adapter, server, endpoint)
        finally:
            adapter.close()

    return up


def measured(
    tmp_path: Path, wrap: Callable[[Adapter], Adapter] = lambda inner: inner, system: str = "plain"
) -> CellResult:
    instance = tmp_path / "instance"
    instance.mkdir()
    result, _ = run_cell(
        CELLS[system],
        instance,
        ManifestCache(tmp_path / "manifests"),
        bring_up=bring_up_with(wrap),
    )
    return result


def test_a_sound_store_counts(tmp_path: Path) -> None:
    result = measured(tmp_path, system="single_instance")
    assert result.outcome.ok, result.outcome
    assert [m.stage for m in result.measurements] == list(CELLS["plain"].stages)
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


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("fail", OutcomeKind.FAILED),
        ("refuse", OutcomeKind.INVALID),
        ("short", OutcomeKind.INVALID),
        ("queued_only", OutcomeKind.INVALID),
        ("corrupt", OutcomeKind.INVALID),
        ("lost_after_flush", OutcomeKind.INVALID),
        ("undeleted", OutcomeKind.INVALID),
    ],
)
def test_no_fault_counts_as_stored(fault: str, kind: OutcomeKind, tmp_path: Path) -> None:
    result = measured(tmp_path, lambda inner: FaultyAdapter(inner, fault, at=0))
    assert result.outcome.kind is kind, result.outcome
    assert result.outcome.reason
    assert result.measurements[-1].outcome.kind is kind
    assert all(m.outcome.ok or m is result.measurements[-1] or not m.mode for m in result.measurements)


def test_a_system_that_goes_away_is_retried_and_not_counted(tmp_path: Path) -> None:
    class Gone(FaultyAdapter):
        def count(self) -> int:
            raise SystemUnavailable("the connection was lost")

    with pytest.raises(SystemUnavailable):
        measured(tmp_path, lambda inner: Gone(inner, "none"))


def test_another_instance_at_the_end_makes_the_cell_invalid(tmp_path: Path) -> None:
    class Replaced(FaultyAdapter):
        asked = 0

        def identity(self) -> Identity:
            self.asked += 1
            return dataclasses.replace(super().identity(), instance=f"number {self.asked}")

    result = measured(tmp_path, lambda inner: Replaced(inner, "none"))
    assert result.outcome.kind is OutcomeKind.INVALID
    assert "another instance" in result.outcome.reason


def test_a_system_that_never_rests_is_censored_with_its_curve(tmp_path: Path) -> None:
    class Restless(FaultyAdapter):
        def idle_signals(self) -> dict[str, int]:
            return {"merges": 1}

    result = measured(tmp_path, lambda inner: Restless(inner, "none"))
    assert result.baseline is not None
    assert result.baseline.rest is not None
    assert not result.baseline.rest.settled
    assert result.baseline.rest.busy == {"merges": 1}
    assert result.baseline.rest.curve


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
    result, _ = run_cell(CELLS["plain"], second, ManifestCache(tmp_path / "manifests"))
    assert result.outcome.kind is OutcomeKind.INVALID
    assert "manifest" in result.outcome.reason
