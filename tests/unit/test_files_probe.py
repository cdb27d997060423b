import os
from pathlib import Path

import pytest

from deduplab.errors import ProbeError
from deduplab.model import Ruler
from deduplab.probes.files import FilesProbe


def by_ruler(probe: FilesProbe) -> dict[Ruler, dict[str, int]]:
    return {reading.ruler: reading.components for reading in probe.measure()}


def test_both_rulers_see_a_sparse_file_differently(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1_000_000)
    (tmp_path / "dense").write_bytes(b"x" * 10_000)
    found = by_ruler(FilesProbe(tmp_path))
    assert found[Ruler.APPARENT]["data"] == 1_010_000
    assert 10_000 <= found[Ruler.ALLOCATED]["data"] <= 16_384


def test_files_are_split_by_component_and_add_up(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "1.wal").write_bytes(b"x" * 5000)
    (tmp_path / "base").write_bytes(b"x" * 3000)
    readings = FilesProbe(tmp_path, [("log/*", "wal")]).measure()
    assert readings[1].components["wal"] == 5000
    assert readings[1].components["data"] == 3000
    for reading in readings:
        assert sum(reading.components.values()) == reading.total_bytes
        assert "directories" in reading.components


def test_a_hard_link_counts_once_and_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * 100_000)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "one").write_bytes(b"x" * 4096)
    os.link(inside / "one", inside / "two")
    (inside / "link").symlink_to(outside)
    assert by_ruler(FilesProbe(inside))[Ruler.APPARENT]["data"] < 8192


def test_the_cheap_size_is_the_allocated_reading(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(b"x" * (number * 1000))
    probe = FilesProbe(tmp_path)
    assert probe.allocated_bytes() == probe.measure()[0].total_bytes


def test_a_directory_that_is_gone_is_an_error_and_not_zero(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="gone"):
        FilesProbe(tmp_path / "none").measure()
