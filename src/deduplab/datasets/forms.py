"""Forms: how a copy differs from its payload, if it does.

Copy number 0 is the payload itself. An *edited* copy has a few edits at seeded
places; a *wrapped* one is the same content in another container: compressed
with other settings, or JSON with other spacing and key order. Every copy of a
payload is wrapped in a way of its own, the first one too.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from deduplab.dataset_spec import CopySpec, DatasetSpec
from deduplab.errors import PlanError, unknown_name

EDIT_KINDS: Final = ("insert", "delete", "replace")
FORMS: Final = ("exact", "edited", "gzip", "json")

_FIRST_UNIX_S: Final = 1_700_000_000

Numbers = npt.NDArray[np.int64]


class Edits:
    """Edited copies: each of ``edits`` equal parts of a payload has one edit, at a seeded place.

    Inserted and replacing bytes are lower-case letters; a replaced byte always
    becomes another one.
    """

    def __init__(self, spec: DatasetSpec, least_bytes: int) -> None:
        copies = spec.copies
        self._copies = copies
        self._seed = spec.seed
        kinds = [copies.edit_kinds[n % len(copies.edit_kinds)] for n in range(copies.edits)]
        self._kinds = kinds
        grows = sum((kind == "insert") - (kind == "delete") for kind in kinds)
        self.growth_bytes = grows * copies.edit_bytes
        if least_bytes < copies.edits * copies.edit_bytes:
            raise PlanError(
                f"{copies.edits} edits of {copies.edit_bytes} bytes do not fit into a payload of "
                f"{least_bytes} bytes; make fewer or shorter ones, or larger objects"
            )

    def lengths(self, copies: Numbers, lengths: Numbers) -> Numbers:
        """Return the lengths of copies, from the lengths of their payloads."""
        return np.where(copies > 0, lengths + self.growth_bytes, lengths)

    def edited(self, payload: memoryview, payload_id: int, copy: int) -> bytes:
        """Return a copy of a payload with its edits; copy 0 is the payload."""
        if copy == 0:
            return bytes(payload)
        draws = self._draws(payload_id, copy)
        length_bytes, edits, n = len(payload), len(self._kinds), self._copies.edit_bytes
        parts: list[bytes | memoryview] = []
        done = 0
        for number, kind in enumerate(self._kinds):
            start = length_bytes * number // edits
            stop = length_bytes * (number + 1) // edits
            place = start + int.from_bytes(draws(8)) % (stop - start - n + 1)
            parts.append(payload[done:place])
            letters = bytes(97 + byte % 26 for byte in draws(n)) if kind != "delete" else b""
            done = place
            if kind != "insert":
                old = payload[place : place + n]
                letters = bytes(_other(a, b) for a, b in zip(letters, old, strict=False))
                done += n
            parts.append(letters)
        parts.append(payload[done:])
        return b"".join(parts)

    def _draws(self, payload_id: int, copy: int) -> Callable[[int], bytes]:
        material = blake3(f"deduplab edits {self._seed} {payload_id} {copy}".encode())
        place = 0

        def draw(count: int) -> bytes:
            nonlocal place
            place += count
            return material.digest(count, seek=place - count)

        return draw


def _other(letter: int, old: int) -> int:
    """Return the letter, or the next one if it is the old byte."""
    return letter if letter != old else 97 + (letter - 96) % 26


class Wrapping(ABC):
    """Copies whose content is the same and whose bytes are not; lengths are known when made."""

    limit: int

    @abstractmethod
    def wrapped(self, payload: bytes, payload_id: int, copy: int) -> bytes:
        """Return the payload in the container of this copy."""


class GzipWrapping(Wrapping):
    """The payload compressed as a gzip member (RFC 1952) with settings and a time of its own.

    Copies differ in level first, then in window and memory, and always in the
    header's time. Payloads that do not compress are stored as they are behind the
    header, so a mechanism that finds chunks does find those.
    """

    _SETTINGS: Final = tuple(product((8, 9), range(15, 9, -1), (6, 1, 9, 2, 3, 4, 5, 7, 8)))
    limit = 10_000

    def wrapped(self, payload: bytes, payload_id: int, copy: int) -> bytes:
        """Return a gzip member without a name."""
        memory, window, level = self._SETTINGS[copy % len(self._SETTINGS)]
        packer = zlib.compressobj(level, zlib.DEFLATED, -window, memory)
        header = struct.pack("<BBBBIBB", 31, 139, 8, 0, _FIRST_UNIX_S + copy, 0, 255)
        trailer = struct.pack("<II", zlib.crc32(payload), len(payload) & 0xFFFFFFFF)
        return b"".join((header, packer.compress(payload), packer.flush(), trailer))


class JsonWrapping(Wrapping):
    """The payload as JSON with other spacing and another order of keys for each copy."""

    _SEPARATORS: Final = ((",", ":"), (", ", ": "), (",", ": "), (" , ", " : "), (", ", ":"))
    _INDENTS: Final = (None, 1, 2, 3, 4, 8, "\t")
    limit = 10_000

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def wrapped(self, payload: bytes, payload_id: int, copy: int) -> bytes:
        """Return the same document, written otherwise."""
        if copy == 0:
            return payload
        order = random.Random(f"{self._seed} {payload_id} {copy}")  # noqa: S311
        document = _reordered(json.loads(payload), order)
        return json.dumps(
            document,
            ensure_ascii=False,
            separators=self._SEPARATORS[copy % len(self._SEPARATORS)],
            indent=self._INDENTS[copy // len(self._SEPARATORS) % len(self._INDENTS)],
        ).encode()


def _reordered(document: object, order: random.Random) -> object:
    if isinstance(document, dict):
        names = list(document)
        order.shuffle(names)
        return {name: _reordered(document[name], order) for name in names}
    if isinstance(document, list):
        return [_reordered(item, order) for item in document]
    return document


def check_copies(copies: CopySpec) -> None:
    """Refuse forms and kinds that do not exist, with the nearest name.

    Raises
    ------
    PlanError
        It says what to change.
    """
    if copies.form not in FORMS:
        raise PlanError(unknown_name("form of copies", copies.form, FORMS))
    if copies.form != "edited":
        return
    for kind in copies.edit_kinds:
        if kind not in EDIT_KINDS:
            raise PlanError(unknown_name("kind of edit", kind, EDIT_KINDS))
    if copies.edits < 1 or copies.edit_bytes < 1 or not copies.edit_kinds:
        raise PlanError("edited copies have at least one edit of at least one byte")


def build_wrapping(spec: DatasetSpec, content_type: str, most_copies: int) -> Wrapping | None:
    """Return how copies are wrapped, None if they are not.

    Raises
    ------
    PlanError
        If the payloads are not JSON, or there are more copies than ways to wrap one.
    """
    if spec.copies.form not in ("gzip", "json"):
        return None
    if spec.copies.form == "json" and content_type != "application/json":
        raise PlanError(
            f"copies of form 'json' need payloads that are JSON; {spec.payload} is {content_type}"
        )
    wrapping = GzipWrapping() if spec.copies.form == "gzip" else JsonWrapping(spec.seed)
    if most_copies > wrapping.limit:
        raise PlanError(
            f"a payload occurs {most_copies} times, and there are {wrapping.limit} ways to write "
            f"it as {spec.copies.form}; lower the grade"
        )
    return wrapping
