"""How objects become Redis' values: a string, or a hash with one field a field of ours.

Redis' values are byte strings; numbers travel as decimal text, as Redis' own
commands take them (``INCRBY``, ``HINCRBYFLOAT``). NULL is a field that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from deduplab.adapters._layout import Conversion, Layout
from deduplab.adapters._resp import frame
from deduplab.batch import Batch
from deduplab.record import FieldType, Record, Stored

PIECE_BYTES: Final = 1 << 20
"""Objects of a batch are put in pieces of about this many bytes, or one object if it is longer."""

CONTENT: Final = b"content"
"""The field of a hash that holds a payload in the layout blob."""

PUT_RECORD: Final = (
    b"if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end "
    b"redis.call('HSET', KEYS[1], unpack(ARGV)) return 1"
)
"""Puts all fields at once, or nothing where the key exists: no command does both."""

_MULTI: Final = frame(b"MULTI")
_EXEC: Final = frame(b"EXEC")
_NOTHING: Final = b""
"""The field of a record of NULLs alone: a hash must have one."""

_WRITERS: Final[dict[FieldType, Callable[[Any], bytes]]] = {
    FieldType.TEXT: str.encode,
    FieldType.JSON: str.encode,
    FieldType.UUID: str.encode,
    FieldType.INTEGER: lambda value: b"%d" % value,
    FieldType.TIMESTAMP: lambda value: b"%d" % value,
    FieldType.BOOLEAN: lambda value: b"1" if value else b"0",
    FieldType.FLOAT: lambda value: repr(value).encode(),
    FieldType.DECIMAL: lambda value: f"{value:f}".encode(),
}
_READERS: Final[dict[FieldType, Callable[[bytes], Any]]] = {
    FieldType.TEXT: bytes.decode,
    FieldType.JSON: bytes.decode,
    FieldType.UUID: bytes.decode,
    FieldType.INTEGER: int,
    FieldType.TIMESTAMP: int,
    FieldType.BOOLEAN: lambda value: value == b"1",
    FieldType.FLOAT: float,
    FieldType.DECIMAL: lambda value: Decimal(value.decode()),
}


class Values:
    """The commands that put and get one layout's objects.

    Parameters
    ----------
    layout
        What is stored.
    hashes
        Whether payloads are put into a hash; records always are.
    prefix
        What goes before every key.
    """

    def __init__(self, layout: Layout, hashes: bool, prefix: bytes) -> None:
        self.layout = layout
        self.prefix = prefix
        self._hashes = hashes
        self._names = [field.name.encode() for field in layout.fields]
        self._written = Conversion.of(layout.fields, lambda field: _WRITERS.get(field.type))
        self._read = Conversion.of(layout.fields, lambda field: _READERS.get(field.type))
        name, field = (b"HSETNX", b"$7\r\n%b\r\n" % CONTENT) if hashes else (b"SETNX", b"")
        words = 4 if hashes else 3
        self._put_head = b"*%d\r\n$%d\r\n%b\r\n" % (words, len(name), name)
        self._put_middle = b"\r\n" + field

    def key(self, key: str) -> bytes:
        """Return the server's key of an object's."""
        return self.prefix + key.encode()

    def put(self, key: str, stored: Stored) -> bytes:
        """Return the framed command that puts an object where there is none yet."""
        name = self.key(key)
        row = self.layout.row(stored)
        if self.layout.is_native:
            return self._put_record(name, row)
        payload: Any = row[0]
        return b"%b$%d\r\n%b%b$%d\r\n%b\r\n" % (
            self._put_head, len(name), name, self._put_middle, len(payload), payload,
        )  # fmt: skip

    def put_many(self, batch: Batch) -> Iterator[tuple[bytes, int]]:
        """Yield a batch in framed pieces, each with its number of commands.

        A piece is applied as a whole, and synced once: strings by one ``MSETNX``,
        hashes by ``MULTI .. EXEC`` around the commands that put one.
        """
        grouped = self.layout.is_native or self._hashes
        for objects, parts in _pieces(self._parts(batch)):
            if grouped:
                yield b"".join((_MULTI, *parts, _EXEC)), objects + 2
            else:
                yield b"".join((b"*%d\r\n$6\r\nMSETNX\r\n" % (1 + 2 * objects), *parts)), 1

    def _parts(self, batch: Batch) -> Iterator[Sequence[bytes | memoryview]]:
        """Yield each object as parts of a command, or (strings) as its two words."""
        if self.layout.is_native:
            for key, record in zip(batch.keys, batch.records, strict=True):
                yield (self._put_record(self.key(key), record),)
            return
        data, bounds, prefix = batch.data, batch.offsets.tolist(), self.prefix
        head, middle = (self._put_head, self._put_middle) if self._hashes else (b"", b"\r\n")
        start = bounds[0]
        for key, stop in zip(batch.keys, bounds[1:], strict=True):
            name = prefix + key.encode()
            before = b"%b$%d\r\n%b%b$%d\r\n" % (head, len(name), name, middle, stop - start)
            yield before, data[start:stop], b"\r\n"
            start = stop

    def get(self, key: str) -> bytes:
        """Return the framed command that gets an object."""
        if self.layout.is_native:
            return frame(b"HGETALL", self.key(key))
        if self._hashes:
            return frame(b"HGET", self.key(key), CONTENT)
        return frame(b"GET", self.key(key))

    def stored(self, answer: Any) -> Stored | None:
        """Return what the answer to ``get`` holds; None where there is no such object."""
        if not self.layout.is_native:
            payload: bytes | None = answer
            return payload
        if not answer:
            return None
        found = dict(zip(answer[::2], answer[1::2], strict=True))
        return self.layout.stored(self._read([found.get(name) for name in self._names]))

    def _put_record(self, name: bytes, record: Record) -> bytes:
        pairs: Iterable[tuple[bytes, Any]] = zip(self._names, self._written(record), strict=True)
        words = [word for pair in pairs if pair[1] is not None for word in pair]
        return frame(b"EVAL", PUT_RECORD, b"1", name, *(words or (_NOTHING, _NOTHING)))


def all_put(answer: Any) -> bool:
    """Whether the last answer to a piece says that all of its objects were put."""
    return set(answer) == {1} if isinstance(answer, list) else answer == 1


def _pieces(
    objects: Iterable[Sequence[bytes | memoryview]],
) -> Iterator[tuple[int, list[bytes | memoryview]]]:
    """Gather objects' parts to pieces of about ``PIECE_BYTES``, with the number of objects."""
    parts: list[bytes | memoryview] = []
    filled_bytes = count = 0
    for each in objects:
        parts += each
        count += 1
        filled_bytes += sum(map(len, each))
        if filled_bytes >= PIECE_BYTES:
            yield count, parts
            parts, filled_bytes, count = [], 0, 0
    if count:
        yield count, parts
