"""What a cell's files are said to hold: their own length, not that of directories."""

from __future__ import annotations

from pathlib import Path

from deduplab.bench.on_disk import read_on_disk, scan_directory
from deduplab.bound.grains import FIXED_4096
from deduplab.bound.scan import ScanSettings
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import build_dataset

_OBJECTS = 64
_OBJECT_BYTES = 4096


def test_unique_objects_in_many_directories_are_not_redundant(tmp_path: Path) -> None:
    spec = DatasetSpec("random_binary", _OBJECTS * _OBJECT_BYTES, _OBJECT_BYTES, 0, "none")
    dataset = build_dataset(spec)
    allocated_bytes = 0
    for batch in dataset.batches(1 << 20):
        for number, payload in enumerate(batch.payloads):
            path = tmp_path / f"{number:02}" / "object"
            path.parent.mkdir()
            path.write_bytes(payload)
            allocated_bytes += path.stat().st_blocks * 512
    reading = read_on_disk(tmp_path, dataset)
    assert reading.grain_unique_bytes[FIXED_4096] == dataset.spec.logical_bytes
    assert reading.apparent_bytes == dataset.spec.logical_bytes
    assert reading.planted_found == reading.planted_stored == _OBJECTS
    found = scan_directory(tmp_path, ScanSettings(grains=(FIXED_4096,), compress=False))
    assert found.apparent_bytes == dataset.spec.logical_bytes
    assert found.allocated_bytes == allocated_bytes
