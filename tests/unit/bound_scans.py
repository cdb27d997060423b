"""Scans of one stream, by the part in C and without it, and all that they find."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ctypes import c_int64, string_at
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest

from deduplab.bound.compression import CompressionSample
from deduplab.bound.grains import Grain
from deduplab.bound.known import KnownCuts
from deduplab.bound.native import (
    CHUNK_BYTES,
    CUTS_HEAD_BYTES,
    SETTING,
    Native,
    address_of,
    int64s,
    native,
)
from deduplab.bound.native_scan import NativeScan
from deduplab.bound.plain_scan import PlainScan
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream import Block
from deduplab.bound.stream_scan import StreamScan

compiled = pytest.mark.skipif(
    native() is None, reason="the part in C was not built, or is switched off"
)
KINDS = [pytest.param("native", marks=compiled), "plain"]


def found_native() -> Native:
    found = native()
    assert found is not None
    return found


@contextmanager
def switched_off() -> Iterator[None]:
    """Switch the part in C off."""
    with patch.dict(os.environ, {SETTING: "0"}):
        native.cache_clear()
        try:
            yield
        finally:
            native.cache_clear()


def scan_by(kind: str, settings: ScanSettings, known: KnownCuts[Any] | None = None) -> StreamScan:
    if kind == "native":
        return NativeScan(found_native(), settings, known)
    return PlainScan(settings, known)


def told(scan: StreamScan, blocks: Iterable[Block]) -> StreamScan:
    for block in blocks:
        scan.add(block)
    return scan


def found(scan: StreamScan) -> dict[str, dict[str, object]]:
    """End a scan, and return all that it found, grain by grain."""
    everything: dict[str, dict[str, object]] = {
        "stream": {"objects": scan.objects, "logical_bytes": scan.logical_bytes}
    }
    for name, tally in scan.finish().items():
        table, sample = tally.rows.table(), tally.compression
        columns = (table.first, table.second, table.lengths, table.counts)
        everything[name] = {
            "chunks": tally.chunks,
            "logical_bytes": tally.logical_bytes,
            "halvings": tally.halvings,
            "table": [column.tolist() for column in columns],
            "distances": tally.distances.counts.tolist(),
            "sample": None if sample is None else (sample.thinning, _values(sample)),
        }
    everything["stream"] = {"objects": scan.objects, "logical_bytes": scan.logical_bytes}
    return everything


def _values(sample: CompressionSample) -> dict[int, object]:
    return {mark: one.values() for mark, one in sample.chunks.items()}


class ChunksInC(NamedTuple):
    lengths: list[int]
    digests: list[bytes]


class ScanInC:
    """The library's own handles of a scan at one grain, or at none, then of whole objects."""

    def __init__(self, grain: Grain | None) -> None:
        self._library = found_native()
        grains = [] if grain is None else [grain]
        self._address = self._library.scan_new(
            self._library.hash_address,
            len(grains),
            int64s(one.size_bytes for one in grains),
            int64s(one.size_bytes.bit_length() - 1 if one.content_defined else 0 for one in grains),
            int64s(one.never_cut_bytes for one in grains),
            int64s(one.most_bytes for one in grains),
            grain is None,
            0,
            0,
        )
        assert self._address

    def __enter__(self) -> ScanInC:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.scan_free(self._address)

    def cut(self, data: memoryview) -> ChunksInC:
        """Cut one object."""
        count = self._library.scan_cut(self._address, address_of(data), len(data), 0, 1)
        chunks = _chunks(self._library.scan_cuts(self._address))
        assert count == CUTS_HEAD_BYTES + len(chunks.lengths) * CHUNK_BYTES
        return chunks

    def cut_objects(
        self, data: memoryview, begins: list[int], ends: list[int], known: bytes | None = None
    ) -> ChunksInC:
        """Cut and count objects by one call."""
        count = len(begins)
        stop = self._library.scan_objects(
            self._address,
            address_of(data),
            int64s(begins),
            int64s(ends),
            known,
            0,
            count,
            2**63 - 1,
        )
        assert stop == count
        if self._library.scan_tally(self._address, 0):
            return _chunks(self._library.scan_cuts(self._address))
        # Not one object was long enough to be cut: the chunks are the objects.
        return self._hashed(sum(end > begin for begin, end in zip(begins, ends, strict=True)))

    def hash_objects(self, data: memoryview, begins: list[int], ends: list[int]) -> ChunksInC:
        """Hash objects, none of them empty, where no grain was given."""
        stop = self._library.scan_objects(
            self._address, address_of(data), int64s(begins), int64s(ends), None, 0, len(begins),
            2**63 - 1,
        )  # fmt: skip
        assert stop == len(begins)
        return self._hashed(stop)

    def _hashed(self, count: int) -> ChunksInC:
        if not count:
            return ChunksInC([], [])
        return _parsed(string_at(self._library.scan_hashed(self._address), count * CHUNK_BYTES))


def _chunks(place: int) -> ChunksInC:
    count = c_int64.from_address(place).value
    return _parsed(string_at(place + CUTS_HEAD_BYTES, count * CHUNK_BYTES))


def _parsed(chunks: bytes) -> ChunksInC:
    rows = np.frombuffer(chunks, dtype=np.uint64).reshape(-1, CHUNK_BYTES // 8)
    return ChunksInC(rows[:, 0].tolist(), [row[1:].tobytes() for row in rows])
