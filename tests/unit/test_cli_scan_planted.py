from __future__ import annotations

from pathlib import Path

import pytest

from deduplab.cli import scan_planted
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import build_dataset, export
from deduplab.errors import DatasetError
from deduplab.units import MIB


def test_planted_payloads_of_files_are_whole(tmp_path: Path) -> None:
    spec = DatasetSpec(
        payload="random_binary",
        logical_bytes=5 * MIB,
        object_bytes=2 * MIB + MIB // 2,
        grade_percent=0,
        distance="none",
    )
    dataset = build_dataset(spec)
    export.write(dataset, tmp_path / "made", lambda count: None)
    found = list(scan_planted.planted_payloads(str(tmp_path / "made"))())
    assert found == [dataset.payload(ordinal) for ordinal in range(dataset.objects)]
    next((tmp_path / "made" / "objects").rglob("*.bin")).unlink()
    (tmp_path / "made" / "objects" / "00000000" / "link").symlink_to("nowhere")
    with pytest.raises(DatasetError, match="can't be used"):
        list(scan_planted.planted_payloads(str(tmp_path / "made"))())
