"""What the tests of the reference stores share: objects, and how a store is opened and measured."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from deduplab.adapter import Adapter
from deduplab.adapters.chunked import ChunkedAdapter
from deduplab.adapters.compressed import CompressedAdapter
from deduplab.adapters.plain import PlainAdapter
from deduplab.adapters.single_instance import SingleInstanceAdapter
from deduplab.model import Ruler
from deduplab.probes.files import FilesProbe
from deduplab.server import Endpoint
from deduplab.testing import distinct_objects

Make: TypeAlias = Callable[[type[Adapter]], Adapter]

FILE_STORES = (PlainAdapter, CompressedAdapter, SingleInstanceAdapter, ChunkedAdapter)
INDEXED = (SingleInstanceAdapter, ChunkedAdapter)
UNIQUE = distinct_objects(40)
WORDS = b"where do redundant bytes go in a system that holds data ".split(b" ")


def reopen(adapter: Adapter, tmp_path: Path) -> None:
    adapter.close()
    adapter.open(Endpoint(directory=tmp_path))


def allocated(adapter: Adapter, tmp_path: Path) -> dict[str, int]:
    """The FILES layer by component, in allocated bytes."""
    reading, *_ = FilesProbe(tmp_path, adapter.file_components).measure()
    assert reading.ruler is Ruler.ALLOCATED
    return reading.components


def copies(grade_percent: int, count: int = 100) -> dict[str, bytes]:
    """Objects of 8 KiB of which this share are copies, shuffled."""
    unique = list(distinct_objects(count * (100 - grade_percent) // 100).values())
    payloads = [unique[number % len(unique)] for number in range(count)]
    random.Random(1).shuffle(payloads)
    return {f"o{number:08d}": payload for number, payload in enumerate(payloads)}


def text_objects(count: int) -> dict[str, bytes]:
    source = random.Random(7)
    return {f"t{n:08d}": b" ".join(source.choices(WORDS, k=3000))[:8192] for n in range(count)}
