"""The index of the chunked store: where each chunk lies, and which chunks make an object."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final, TypeAlias

DIGEST_BYTES: Final = 16  # 128 bits of BLAKE3: no collision below 2^60 chunks

Place: TypeAlias = tuple[int, int, int]
"""A chunk's pack, offset and length."""

_CHUNK: Final = 1
_PUT: Final = 2
_DELETE: Final = 3
_KIND: Final = Struct("<B")
_PLACE: Final = Struct(f"<{DIGEST_BYTES}sIII")  # digest, pack, offset, length
_HEAD: Final = Struct("<HI")  # bytes of the key, number of chunks
_ENTRIES: Final = 4096  # entries a record of a compacted log


class Recipes:
    """Chunks by digest with their references, and objects as lists of chunk numbers.

    A chunk keeps its place when its last reference goes: it is dead, but a new
    object may still use it until the packs are rewritten. Every change comes
    with the record that tells it to the log.
    """

    def __init__(self) -> None:
        self._digests: list[bytes] = []
        self._places: tuple[array[int], array[int], array[int]] = (
            array("I"),
            array("I"),
            array("I"),
        )
        self._references = array("I")
        self._numbers: dict[bytes, int] = {}
        self._objects: dict[str, array[int]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    @property
    def chunks(self) -> int:
        """The number of chunks, dead ones included."""
        return len(self._digests)

    def knows(self, digest: bytes) -> bool:
        """Return whether there is a chunk of that digest, alive or dead."""
        return digest in self._numbers

    def places(self, key: str) -> list[Place] | None:
        """Return where the chunks of an object lie, in order; None if there is no such object."""
        numbers = self._objects.get(key)
        return None if numbers is None else [self._place(number) for number in numbers]

    def live(self) -> Iterator[tuple[bytes, Place]]:
        """Yield digest and place of each chunk that an object refers to."""
        for number, references in enumerate(self._references):
            if references:
                yield self._digests[number], self._place(number)

    def live_bytes(self) -> int:
        """Return the sum of the lengths of chunks that an object refers to."""
        lengths = self._places[2]
        return sum(lengths[number] for number, count in enumerate(self._references) if count)

    def dead_packs(self) -> set[int]:
        """Return the packs that hold a chunk that nothing refers to."""
        packs = self._places[0]
        return {packs[number] for number, count in enumerate(self._references) if not count}

    def ends(self) -> dict[int, int]:
        """Return the end of the last chunk of each pack."""
        ends: dict[int, int] = {}
        for pack, offset, length in zip(*self._places, strict=True):
            ends[pack] = max(ends.get(pack, 0), offset + length)
        return ends

    def record_of(
        self,
        chunks: Sequence[tuple[bytes, Place]],
        objects: Iterable[tuple[str, Sequence[bytes]]],
    ) -> bytes:
        """Return the record that adds these chunks and objects (given by their digests)."""
        new = {digest: self.chunks + at for at, (digest, _) in enumerate(chunks)}
        parts = [_chunk_entry(digest, place) for digest, place in chunks]
        for key, digests in objects:
            known = self._numbers
            numbers = (new[digest] if digest in new else known[digest] for digest in digests)
            parts.append(_put_entry(key, array("I", numbers)))
        return b"".join(parts)

    def deletion_of(self, keys: Iterable[str]) -> bytes:
        """Return the record that deletes these objects."""
        names = (key.encode("ascii") for key in keys)
        return b"".join(_KIND.pack(_DELETE) + _HEAD.pack(len(name), 0) + name for name in names)

    def apply(self, record: bytes) -> None:
        """Carry out what a record says."""
        position = 0
        while position < len(record):
            (kind,) = _KIND.unpack_from(record, position)
            position += _KIND.size
            if kind == _CHUNK:
                digest, *place = _PLACE.unpack_from(record, position)
                position += _PLACE.size
                self._add_chunk(digest, place)
                continue
            key_bytes, chunks = _HEAD.unpack_from(record, position)
            position += _HEAD.size
            key = record[position : position + key_bytes].decode("ascii")
            position += key_bytes
            if kind == _PUT:
                numbers = array("I", record[position : position + 4 * chunks])
                position += 4 * chunks
                self._objects[key] = numbers
                for number in numbers:
                    self._references[number] += 1
            else:
                for number in self._objects.pop(key):
                    self._references[number] -= 1

    def compacted(self, moved: dict[bytes, Place]) -> Iterator[bytes]:
        """Yield the records of an index without deleted objects and dead chunks.

        ``moved`` gives the new place of each chunk that was copied elsewhere.
        """
        renumbered = array("I", bytes(4 * self.chunks))
        entries: list[bytes] = []
        alive = 0
        for number, references in enumerate(self._references):
            if references:
                renumbered[number] = alive
                alive += 1
                digest = self._digests[number]
                entries.append(_chunk_entry(digest, moved.get(digest) or self._place(number)))
        for key, numbers in self._objects.items():
            entries.append(_put_entry(key, array("I", (renumbered[n] for n in numbers))))
        for start in range(0, len(entries), _ENTRIES):
            yield b"".join(entries[start : start + _ENTRIES])

    def _place(self, number: int) -> Place:
        packs, offsets, lengths = self._places
        return packs[number], offsets[number], lengths[number]

    def _add_chunk(self, digest: bytes, place: Sequence[int]) -> None:
        self._numbers[digest] = len(self._digests)
        self._digests.append(digest)
        self._references.append(0)
        for column, value in zip(self._places, place, strict=True):
            column.append(value)


def _chunk_entry(digest: bytes, place: Place) -> bytes:
    return _KIND.pack(_CHUNK) + _PLACE.pack(digest, *place)


def _put_entry(key: str, numbers: array[int]) -> bytes:
    name = key.encode("ascii")
    return _KIND.pack(_PUT) + _HEAD.pack(len(name), len(numbers)) + name + numbers.tobytes()
