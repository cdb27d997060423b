"""The variant unique-content: copies are free at ingestion, and no object is ever lost."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import SystemUnavailable
from deduplab.record import Field, FieldType, Record, RecordType, Stored
from deduplab.registry import system
from deduplab.testing import (
    SAMPLE_RECORDS,
    batch_of,
    distinct_objects,
    distinct_records,
    random_payload,
)

SYSTEMS: Final = ("sqlite", "duckdb", "postgresql")
# DuckDB allocates blocks of 256 KiB, at least one for each column: that weighs on few objects.
OBJECTS: Final = {"sqlite": 1000, "duckdb": 4000, "postgresql": 1000}
OBJECT_BYTES: Final = 8192
BATCH: Final = 128


def _parse(payload: bytes) -> Record:
    return (int.from_bytes(payload[:8]) >> 1, payload[8:])


def _serialise(record: Record) -> bytes:
    number, content = record
    assert isinstance(number, int)
    assert isinstance(content, bytes)
    return (number << 1).to_bytes(8) + content


NUMBERED: Final = RecordType(
    "numbered",
    (Field("number", FieldType.INTEGER), Field("content", FieldType.BYTES, nullable=True)),
    "application/octet-stream",
    _parse,
    _serialise,
)


@pytest.fixture
def opened(
    request: pytest.FixtureRequest, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[Adapter]:
    """The adapter of the system of that name, open on a private instance."""
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-unique-"))
    workspace.chmod(0o755)
    entry = system(request.param)
    server = entry.server_class()(workspace, variant="unique-content", durability="fsync")
    adapter = entry.adapter_class()()
    try:
        try:
            adapter.open(server.start())
        except SystemUnavailable as error:
            not_brought_up(request.param, error)
        yield adapter
    finally:
        adapter.close()
        server.stop()
        shutil.rmtree(workspace, ignore_errors=True)


every_system = pytest.mark.parametrize("opened", SYSTEMS, indirect=True)
both_layouts = pytest.mark.parametrize("layout", ["blob", "native"])


def _create(adapter: Adapter, layout: str, record_type: RecordType = NUMBERED) -> None:
    settings: dict[str, Any] = {"variant": "unique-content", "durability": "fsync"}
    adapter.create("unique", layout=layout, record_type=record_type, **settings)


def _payloads(unique: int, count: int) -> list[bytes]:
    """Random payloads (their first byte even, so that they are numbers), shuffled."""
    distinct = [b"\x00" * 7 + random_payload(OBJECT_BYTES - 7, n) for n in range(unique)]
    distinct = [p[:7] + bytes([p[7] & 0xFE]) + p[8:] for p in distinct]
    payloads = [distinct[number % unique] for number in range(count)]
    random.Random(3).shuffle(payloads)
    return payloads


def _grown_bytes(adapter: Adapter, payloads: list[bytes]) -> int:
    """What the system says that these payloads cost at flush, its log aside."""
    adapter.flush()
    before = adapter.engine_reading().components
    for start in range(0, len(payloads), BATCH):
        part = payloads[start : start + BATCH]
        pairs = [(f"o{start + at:08d}", payload) for at, payload in enumerate(part)]
        assert adapter.put_many(batch_of(pairs, NUMBERED)) == len(part)
    adapter.flush()
    after = adapter.engine_reading().components
    return sum(n - before.get(name, 0) for name, n in after.items() if name not in ("wal", "free"))


@both_layouts
@every_system
def test_a_copy_is_free_at_flush(
    opened: Adapter, layout: str, request: pytest.FixtureRequest
) -> None:
    """The known answer at U90, shuffled, with random payloads: an efficiency near 1."""
    objects = OBJECTS[request.node.callspec.params["opened"]]
    logical_bytes = objects * OBJECT_BYTES
    _create(opened, layout)
    unique_cost = _grown_bytes(opened, _payloads(objects, objects)) / logical_bytes
    _create(opened, layout)
    filled_bytes = _grown_bytes(opened, _payloads(objects // 10, objects))
    assert opened.count() == objects
    duplicate_cost = (filled_bytes - unique_cost * logical_bytes / 10) / (logical_bytes * 0.9)
    assert 0.95 < unique_cost < 1.2
    assert 0.95 < 1 - duplicate_cost / unique_cost < 1.02


def _contents(adapter: Any) -> int:
    """Rows of the table of contents, asked of the system."""
    if hasattr(adapter, "_wire"):
        return int(adapter._wire.scalar('SELECT count(*) FROM "unique".contents'))
    rows = adapter._opened().execute("SELECT count(*) FROM contents").fetchall()
    return int(rows[0][0])


@both_layouts
@every_system
def test_one_content_whichever_way_it_came(opened: Adapter, layout: str) -> None:
    """A copy put alone meets the one that was put in bulk, in one batch and in another."""
    _create(opened, layout, SAMPLE_RECORDS)
    objects: dict[str, Stored] = {}
    source = distinct_records(3) if layout == "native" else distinct_objects(3)
    kinds: list[Stored] = list(source.values())
    if layout == "native":
        full = kinds[0]
        assert isinstance(full, tuple)
        half = len(full) // 2
        kinds += [full[:half] + (None,) * half, (*full[:half], "", *full[half + 1 :])]
    for round_ in range(2):
        copies = {f"{round_}-{n}-{at}": k for n in range(3) for at, k in enumerate(kinds)}
        assert opened.put_many(batch_of(copies, SAMPLE_RECORDS)) == len(copies)
        alone = {f"{round_}-alone-{at}": kind for at, kind in enumerate(kinds)}
        for key, kind in alone.items():
            opened.put(key, kind)
        objects |= copies | alone
    assert _contents(opened) == len(kinds)
    assert opened.count() == len(objects)
    for key, stored in objects.items():
        found = opened.get(key)
        assert found is not None
        assert SAMPLE_RECORDS.canonical(found) == SAMPLE_RECORDS.canonical(stored)


@every_system
def test_contents_go_with_their_last_object_in_reclaim(opened: Adapter) -> None:
    """Deleted objects leave their contents, which a refill uses again; reclaim drops them."""
    _create(opened, "blob")
    payloads = _payloads(10, 20)
    objects = {f"o{at}": payload for at, payload in enumerate(payloads)}
    opened.put_many(batch_of(objects))
    kept = next(iter(objects))
    unique = len(set(payloads))
    assert _contents(opened) == unique
    opened.delete([key for key in objects if key != kept])
    assert (opened.count(), _contents(opened)) == (1, unique)
    for mode in opened.capabilities.reclaim_modes:
        opened.reclaim(mode)
    assert (opened.count(), _contents(opened)) == (1, 1)
    assert opened.get(kept) == objects[kept]
    again = {key: payload for key, payload in objects.items() if key != kept}
    assert opened.put_many(batch_of(again)) == len(again)
    assert all(opened.get(key) == payload for key, payload in objects.items())


@every_system
def test_a_refused_batch_leaves_nothing(opened: Adapter) -> None:
    """An existing key refuses its whole batch, contents included."""
    _create(opened, "blob")
    opened.put("taken", b"the first")
    with pytest.raises(Exception, match=r"taken|key|unique|constraint"):
        opened.put_many(batch_of({"fresh": b"new content", "taken": b"another"}))
    with pytest.raises(Exception, match=r"taken|key|unique|constraint"):
        opened.put("taken", b"yet another")
    assert (opened.count(), _contents(opened)) == (1, 1)
    assert opened.put_many(batch_of({"fresh": b"new content"})) == 1
    assert opened.get("fresh") == b"new content"
