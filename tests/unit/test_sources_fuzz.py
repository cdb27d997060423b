"""Damaged files: a reader ends in a sentence, with an error of ours or with what it left out."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deduplab.bound.sources import open_source
from deduplab.errors import DeduplabError
from tests.unit.sources_reading import objects_of
from tests.unit.test_sources_archives import tar_bytes, zip_bytes

_CONTENTS = [b"", b"one", b"x" * 700, bytes(range(256)) * 8]
_TRIALS = int(os.environ.get("DEDUPLAB_FUZZ_TRIALS", "60"))


def _parquet() -> bytes:
    stream = io.BytesIO()
    table = pa.table(
        {"n": list(range(50)), "s": ["a", None] * 25, "l": [[1], None, [], [2, 3], [4]] * 10}
    )
    pq.write_table(table, stream, row_group_size=20)
    return stream.getvalue()


def _sqlite() -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (n INTEGER, s TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"{n}" * 20) for n in range(99)])
        connection.commit()
        return connection.serialize()


_VALID: dict[str, Callable[[], bytes]] = {
    "a.tar": lambda: tar_bytes(_CONTENTS),
    "a.tar.gz": lambda: gzip.compress(tar_bytes(_CONTENTS)),
    "a.tar.xz": lambda: lzma.compress(tar_bytes(_CONTENTS)),
    "a.tar.zst": lambda: zstandard.ZstdCompressor(write_checksum=True).compress(
        tar_bytes(_CONTENTS)
    ),
    "a.zip": lambda: zip_bytes(_CONTENTS),
    "a.parquet": _parquet,
    "a.csv": lambda: b'a,b,"c ""d"""\n' + b'1,"x\ny",\xff\n' * 30,
    "a.csv.gz": lambda: gzip.compress(b"a,b\n" + b"1,2\n" * 500),
    "a.jsonl": lambda: b'{"a": [1, {"b": null}], "c": "\xc3\xa9"}\n' * 20,
    "a.sqlite": _sqlite,
}


@cache
def _valid(name: str) -> bytes:
    return _VALID[name]()


Change = tuple[int, int, bytes]


def _mutated(data: bytes, changes: list[Change], cut: int | None) -> bytes:
    """Replace bytes at places, and cut the rest off."""
    changed = bytearray(data)
    for place, removed, added in changes:
        start = place % (len(changed) + 1)
        changed[start : start + removed] = added
    return bytes(changed if cut is None else changed[: cut % (len(changed) + 1)])


@pytest.mark.parametrize("name", _VALID)
@settings(
    max_examples=_TRIALS, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@example(changes=[(4064, 0, b"\x80")], cut=None)  # a name in SQLite's schema that is no UTF-8
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 1 << 20), st.integers(0, 16), st.binary(max_size=16)), max_size=5
    ),
    cut=st.none() | st.integers(0, 1 << 20),
)
def test_damaged_files_never_end_in_another_error(
    name: str, changes: list[Change], cut: int | None
) -> None:
    data = _mutated(_valid(name), changes, cut)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            source = open_source(str(path))
            found = objects_of(source)
        except DeduplabError as error:
            assert str(path) in str(error)  # noqa: PT017
            return
        if data == _valid(name):
            assert source.left_out == []
        elif name.startswith("a.tar.") and not source.left_out:
            # What is undamaged behind a checksum has all its members.
            assert found[""] == _CONTENTS


def test_a_damaged_duckdb_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS n FROM range(100000)")
    data = bytearray(path.read_bytes())
    for place in range(3 * 4096 + 100, len(data), 5000):
        data[place] ^= 0x55
    path.write_bytes(data)
    source = open_source(str(path))
    try:
        found = objects_of(source)
    except DeduplabError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert len(found[""]) < 100_000
        assert source.left_out
