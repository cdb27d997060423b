"""The record of an upload that is not finished: what may be taken away by it, and what not."""

from __future__ import annotations

import pytest

from deduplab.errors import StoreError
from deduplab.exports.manifest import Manifest
from deduplab.exports.upload_record import UploadRecord

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def test_a_path_may_have_several_contents_and_all_are_kept() -> None:
    record = UploadRecord().also(Manifest({"x": A, "y": A})).also(Manifest({"x": B}))
    assert UploadRecord.parse(record.to_bytes(), "there") == record
    assert record.left_over(Manifest({"y": C})) == {"x": {A, B}}
    assert record.left_over(Manifest({"x": C, "y": C})) == {}


def test_a_result_that_moved_is_left_over_and_one_that_is_gone_is_refused() -> None:
    record = UploadRecord().also(Manifest({"cells/1/cell.json": A, "figures.csv": B}))
    moved = Manifest({"set_aside/1-1/cell.json": A})
    assert record.left_over(moved) == {"cells/1/cell.json": {A}, "figures.csv": {B}}
    with pytest.raises(StoreError, match=r"results that are not here \(cells/1/cell\.json\)"):
        record.left_over(Manifest({"figures.csv": B}))


@pytest.mark.parametrize("line", [b"nothing", f"{A}  ../other".encode(), f"{A}  /etc/x".encode()])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(StoreError, match="there"):
        UploadRecord.parse(line + b"\n", "there")
