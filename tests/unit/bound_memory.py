"""Sources in memory, and what a scan of them must find, counted with a dictionary."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from deduplab.bound.grains import WHOLE, cut
from deduplab.bound.stream import Block, LeftOut, Source

Parts = list[list[bytes]]
"""Blocks, each a list of objects' parts."""


@dataclass
class MemorySource(Source):
    """Objects in memory, whose blocks end at these offsets of the whole stream."""

    objects: Sequence[bytes]
    block_ends: Sequence[int] = ()
    name: str = "memory"
    stream: str = ""
    left_out: list[LeftOut] = field(default_factory=list)

    def total_bytes(self) -> int | None:
        return sum(map(len, self.objects))

    def shards(self, count: int) -> Sequence[Source]:
        cuts = np.linspace(0, len(self.objects), count + 1).astype(int)
        return [type(self)(self.objects[a:b], name=self.name) for a, b in pairwise(cuts) if b > a]

    def blocks(self) -> Iterator[Block]:
        parts: list[bytes] = []
        at = 0
        ends = iter(sorted(self.block_ends))
        end = next(ends, None)
        for one in self.objects:
            rest = one
            while end is not None and end < at + len(rest):
                taken = max(end - at, 0)
                yield as_block([*parts, rest[:taken]], continues=True, stream=self.stream)
                parts, rest, at = [], rest[taken:], at + taken
                end = next(ends, None)
            parts.append(rest)
            at += len(rest)
            if end == at:
                yield as_block(parts, continues=False, stream=self.stream)
                parts = []
                end = next(ends, None)
        if parts:
            yield as_block(parts, continues=False, stream=self.stream)


def as_block(parts: Sequence[bytes], *, continues: bool, stream: str = "") -> Block:
    """Return a block with something before its first object, as a source may have it."""
    offsets = np.cumsum([3, *map(len, parts)], dtype=np.int64)
    return Block(memoryview(b"???" + b"".join(parts)), offsets, continues, stream)


@dataclass
class Expected:
    """What a dictionary of SHA-256 says of one grain."""

    chunks: int
    logical_bytes: int
    lengths: dict[bytes, int]
    counts: Counter[bytes]
    gaps: list[int]

    @property
    def unique_bytes(self) -> int:
        return sum(self.lengths.values())


def expected(objects: Sequence[bytes], grain: str) -> Expected:
    """Cut each object at once, and count with a dictionary."""
    lengths: dict[bytes, int] = {}
    counts: Counter[bytes] = Counter()
    last: dict[bytes, int] = {}
    gaps: list[int] = []
    at = 0
    for one in objects:
        ends = [len(one)] if grain == WHOLE and one else [] if grain == WHOLE else cut(one, grain)
        for start, end in pairwise([0, *ends]):
            mark = hashlib.sha256(one[start:end]).digest()
            lengths[mark] = end - start
            counts[mark] += 1
            if mark in last:
                gaps.append(at - last[mark])
            at += end - start
            last[mark] = at
    return Expected(sum(counts.values()), at, lengths, counts, gaps)
