"""PostgreSQL's B-tree merges equal keys: what the index on a content's hash costs for a copy."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import SystemUnavailable
from deduplab.registry import system
from deduplab.testing import SAMPLE_RECORDS, batch_of, distinct_records, random_payload

pytestmark = pytest.mark.server

OBJECTS: Final = 4000
UNIQUE: Final = 400
LEAST_ENTRY_BYTES: Final = 20
"""Of an index on two integers of 8 bytes, without its line pointer and the page's header."""


@pytest.fixture(scope="module")
def adapter(not_brought_up: Callable[[str, Exception], NoReturn]) -> Iterator[Adapter]:
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-index-"))
    workspace.chmod(0o755)
    entry = system("postgresql")
    server = entry.server_class()(workspace, variant="content-index", durability="fsync")
    adapter = entry.adapter_class()()
    try:
        try:
            adapter.open(server.start())
        except SystemUnavailable as error:
            not_brought_up("postgresql", error)
        yield adapter
    finally:
        adapter.close()
        server.stop()
        shutil.rmtree(workspace, ignore_errors=True)


def payloads(layout: str, unique: int) -> list[bytes]:
    """Return payloads of so many contents, each as often, shuffled; as records in ``native``."""
    if layout == "blob":
        distinct = [random_payload(100, number) for number in range(unique)]
    else:
        distinct = [SAMPLE_RECORDS.serialise(one) for one in distinct_records(unique).values()]
    copies = [distinct[number % unique] for number in range(OBJECTS)]
    random.Random(5).shuffle(copies)
    return copies


def index_bytes(adapter: Adapter, variant: str, layout: str, unique: int) -> int:
    """Return the size of the indexes after a load and the rebuild of everything."""
    adapter.create(
        "indexed", layout=layout, variant=variant, durability="fsync", record_type=SAMPLE_RECORDS
    )
    stored = payloads(layout, unique)
    pairs = [(f"o{number:08d}", payload) for number, payload in enumerate(stored)]
    assert adapter.put_many(batch_of(pairs, SAMPLE_RECORDS)) == OBJECTS
    adapter.reclaim("vacuum-full")
    last = adapter.get(f"o{OBJECTS - 1:08d}")
    assert last is not None
    assert SAMPLE_RECORDS.canonical(last) == stored[-1]
    found = adapter.engine_reading().components["index"]
    adapter.destroy()
    return found


@pytest.mark.parametrize("layout", ["blob", "native"])
def test_copies_are_merged_in_the_index_alone_and_only_if_it_may(
    adapter: Adapter, layout: str
) -> None:
    keys = index_bytes(adapter, "default", layout, UNIQUE)
    merged = index_bytes(adapter, "content-index", layout, UNIQUE) - keys
    plain = index_bytes(adapter, "content-index-plain", layout, UNIQUE) - keys
    distinct = index_bytes(adapter, "content-index", layout, OBJECTS) - keys
    assert plain > OBJECTS * LEAST_ENTRY_BYTES
    assert merged < 0.6 * plain
    assert distinct == pytest.approx(plain, rel=0.05), "without copies there is nothing to merge"
