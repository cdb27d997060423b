"""Manifests that a run keeps: damaged ones are proven again, unwritable ones are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from deduplab.bench.manifests import ManifestCache
from deduplab.datasets import build_dataset
from deduplab.errors import StoreError
from tests.faults.cells import cell_of

DATASET = build_dataset(cell_of("plain").bulk)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"objects": 1}', b"\xff", b'{"\xb9": 1}'])
def test_a_damaged_manifest_is_proven_again(damage: bytes, tmp_path: Path) -> None:
    manifest = ManifestCache(tmp_path).manifest(DATASET)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(damage)
    assert ManifestCache(tmp_path).manifest(DATASET) == manifest
    assert kept.read_bytes() != damage
    assert list(tmp_path.iterdir()) == [kept]


def test_a_manifest_that_can_not_be_written_ends_the_run_and_no_cell(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="the same command goes on"):
        ManifestCache(tmp_path / "file" / "manifests").manifest(DATASET)
