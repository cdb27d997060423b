from __future__ import annotations

from pathlib import Path

import pytest

from deduplab.bound.account import (
    Account,
    compression_error,
    copies_of,
    document,
    found_within,
    packed_bytes,
    unknown_compression,
)
from deduplab.bound.columns import all_columns, column_bounds, finest
from deduplab.bound.results import Bin, Compression, Distances, GrainResult
from deduplab.bound.scan import ScanSettings, scan
from deduplab.bound.sources.catalogue import open_source
from deduplab.bound.stream_scan import cutter_name


def test_the_distance_curve_rises_to_all_copies() -> None:
    distances = Distances(4, 5, [Bin(0, 0, 1), Bin(4, 7, 2), Bin(64, 127, 1)])
    assert found_within(distances) == [(0, 0.25), (7, 0.75), (127, 1.0)]
    assert found_within(Distances(0, None, [])) == []


def test_all_columns_weigh_by_their_bytes(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [f"{n:04d},{'same' * 25}," for n in range(100)]
    table.write_text("id,text,none\n" + "\n".join(rows) + "\n")
    sketch = scan(open_source(str(table)), ScanSettings())
    columns = column_bounds(sketch.result())
    assert [(one.name, one.value_ratio) for one in columns] == [
        ("id", 1.0),
        ("text", 100.0),
        ("none", None),
    ]
    together = all_columns(columns)
    assert together.logical_bytes == 400 + 10_000
    assert together.unique_bytes == 400 + 100
    assert together.value_ratio == pytest.approx(10_400 / 500)
    assert copies_of(sketch.streams["text"].grains["whole"]) == [(100, 1)]


def test_compressed_bytes_only_where_they_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab" * 4096)
    source = open_source(str(tmp_path))
    with_codecs = scan(source, ScanSettings(grains=("whole",))).result().grains[0]
    without = scan(source, ScanSettings(grains=("whole",), compress=False)).result().grains[0]
    packed = packed_bytes(with_codecs)
    assert packed is not None
    assert 0 < packed < 100
    assert packed_bytes(without) is None


def compressed(template: GrainResult, name: str, *errors: float | None) -> GrainResult:
    """A grain whose codecs have these relative standard errors; 0 for one that is complete."""
    return template._replace(
        grain=name,
        compression=[
            Compression("zstd-1", 2.0, 2.0, error, error, 4096, 1, complete=error == 0)
            for error in errors
        ],
    )


def test_how_far_ratios_of_compressors_may_be_off_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab" * 4096)
    asked = ScanSettings(grains=("whole",), compress=False)
    template = scan(open_source(str(tmp_path)), asked).result().grains[0]
    fine, coarse, whole, single = (
        compressed(template, "fixed-4096", 0.01, 0.02),
        compressed(template, "fixed-65536", 0.05, 0.04),
        compressed(template, "whole", 0, 0),
        compressed(template, "cdc-65536", None, None),
    )
    off = "±3.9% (fixed-4096) to ±9.8% (fixed-65536)"
    words = f"from samples, {off} on unique chunks, {off} on all, 95 %"
    assert compression_error([template, whole]) == ""
    assert compression_error([coarse, whole, fine]) == words
    off = "±3.9% (fixed-4096)"
    assert compression_error([fine]) == f"from samples, {off} on unique chunks, {off} on all, 95 %"
    one_chunk = "one chunk is in the sample at cdc-65536"
    assert compression_error([single]) == one_chunk
    assert compression_error([coarse, fine, single]) == f"{words}; {one_chunk}"


def test_where_a_sample_stands_for_unique_chunks_alone_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab" * 4096)
    asked = ScanSettings(grains=("whole",), compress=False)
    template = scan(open_source(str(tmp_path)), asked).result().grains[0]
    whole = compressed(template, "whole", 0.01)
    unknown = compressed(template, "fixed-4096", 0.02)
    compression = [
        one._replace(all_ratio=None, all_relative_standard_error=None)
        for one in unknown.compression
    ]
    grains = [whole, unknown._replace(compression=compression)]
    assert unknown_compression([whole]) == ""
    assert unknown_compression(grains).startswith("not known on all chunks at fixed-4096: ")
    assert compression_error(grains) == (
        "from samples, ±2.0% (whole) to ±3.9% (fixed-4096) on unique chunks, ±2.0% (whole) on all, "
        "95 %"
    )


def test_the_finest_content_defined_grain() -> None:
    assert finest(("whole", "cdc-65536", "fixed-4096", "cdc-8192")) == "cdc-8192"
    assert finest(("whole", "fixed-4096")) is None


@pytest.mark.parametrize("grains", [("whole",), ("cdc-4096",), ("cdc-4096", "cdc-8192")])
def test_what_cut_is_told(grains: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab" * 4096)
    asked = ScanSettings(grains=grains, compress=False)
    sketch = scan(open_source(str(tmp_path)), asked)
    told = document(Account(sketch, sketch.result(), asked))["environment"]
    assert told == ({} if grains == ("whole",) else {"cutter": cutter_name()})
    assert document(Account(sketch, sketch.result()))["environment"] == {}


def test_what_only_another_order_could_not_read_is_told(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b"a,b\n1,2\n")
    asked = ScanSettings(grains=("whole",), compress=False)
    first = scan(open_source(str(table)), asked)
    table.write_bytes(b"a,b\n1,2\n3\n")
    again = scan(open_source(str(table)), asked).result()
    account = Account(first, first.result(), asked, orders={"natural": again})
    assert [one.name for one in account.unread] == [f"{table} (natural)"]
    told = document(account)
    assert told["complete"] is False
    assert "another number of fields" in told["left_out"][0]["reason"]
    both = Account(first, again, asked, orders={"natural": again})
    assert len(both.unread) == 1
