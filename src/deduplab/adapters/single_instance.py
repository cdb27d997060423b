"""The reference store ``single_instance``: content-addressed whole objects, so a copy is free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import Struct
from typing import ClassVar, Final

from blake3 import blake3

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._marker import Settings
from deduplab.adapters._reference import (
    REFERENCE_COMPONENTS,
    Buffer,
    FanOut,
    IndexLog,
    ReferenceAdapter,
)

_PUT: Final = 1
_DELETE: Final = 2
_HEAD: Final = Struct("<BH")  # kind of entry, length of the key
_DIGEST_BYTES: Final = 32
_COMPACTED_ENTRIES: Final = 4096  # entries a record of a compacted index


class SingleInstanceAdapter(ReferenceAdapter):
    """Keeps each distinct payload once, in a file named by its BLAKE3, and counts references.

    Known answer: deduplication efficiency 1 for whole copies, whatever their
    distance, but for the index: about 60 bytes an object, in the component
    ``index``. A payload's file goes with its last reference. The index is a
    log, so it keeps deleted entries until ``compact``.
    """

    product = "single_instance"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(Variant("default", "BLAKE3, whole objects"),),
        layouts=LAYOUTS,
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("compact",),
        background_work=False,
    )
    file_components = REFERENCE_COMPONENTS

    def __init__(self) -> None:
        super().__init__()
        self._files: FanOut | None = None
        self._log: IndexLog | None = None
        self._extension = ""
        self._digests: dict[str, bytes] = {}
        self._references: dict[bytes, int] = {}

    def get(self, key: str) -> bytes | None:
        """Return the payload of a key, or None if there is no such object."""
        files, _ = self._opened()
        digest = self._digests.get(key)
        if digest is None:
            return None
        try:
            content = files.read(self._name(digest))
        except OSError as error:
            raise self._failed(f"get of {key!r}", error) from error
        if content is None:
            raise self._failed(f"get of {key!r}", f"its payload {digest.hex()} is gone")
        return content

    def delete(self, keys: Sequence[str]) -> int:
        """Drop these keys, then the payloads that nothing refers to any more."""
        files, log = self._opened()
        known = [key for key in dict.fromkeys(keys) if key in self._digests]
        if not known:
            return 0
        try:
            log.append(b"".join(_entry(_DELETE, key) for key in known))
            files.remove(map(self._name, self._forget(known)))
        except OSError as error:
            raise self._failed(f"delete of {len(keys)} objects", error) from error
        return len(known)

    def count(self) -> int:
        """Return the number of keys in the index."""
        self._opened()
        return len(self._digests)

    def reclaim(self, mode: str) -> None:
        """Rewrite the index without its deleted entries."""
        self._check_reclaim(mode)
        _, log = self._opened()
        entries = [_entry(_PUT, key, digest) for key, digest in self._digests.items()]
        log.rewrite(
            b"".join(entries[start : start + _COMPACTED_ENTRIES])
            for start in range(0, len(entries), _COMPACTED_ENTRIES)
        )

    def _insert(self, keys: Sequence[str], payloads: Sequence[Buffer]) -> None:
        files, log = self._opened()
        self._check_new(keys, self._digests.__contains__)
        digests = [blake3(payload).digest() for payload in payloads]
        new = {
            digest: payload
            for digest, payload in zip(digests, payloads, strict=True)
            if digest not in self._references
        }
        # Payloads first: an index entry on stable storage always finds its payload.
        files.write((self._name(digest), payload) for digest, payload in new.items())
        try:
            log.append(b"".join(map(_put_entry, keys, digests)))
        except OSError:
            files.remove(map(self._name, new))
            raise
        self._remember(keys, digests)

    def _name(self, digest: bytes) -> str:
        return digest.hex() + self._extension

    def _remember(self, keys: Iterable[str], digests: Iterable[bytes]) -> None:
        references = self._references
        for key, digest in zip(keys, digests, strict=True):
            self._digests[key] = digest
            references[digest] = references.get(digest, 0) + 1

    def _forget(self, keys: Iterable[str]) -> list[bytes]:
        """Drop keys from memory; return the digests that lost their last reference."""
        unreferenced = []
        for key in keys:
            digest = self._digests.pop(key)
            self._references[digest] -= 1
            if not self._references[digest]:
                del self._references[digest]
                unreferenced.append(digest)
        return unreferenced

    def _components(self) -> dict[str, int]:
        files, log = self._opened()
        return {"data": files.total_bytes(), "index": log.size_bytes}

    def _truncate(self) -> None:
        files, log = self._opened()
        log.rewrite(())
        files.remove(map(self._name, self._references))
        self._digests.clear()
        self._references.clear()

    def _attach(self, directory: Path, settings: Settings) -> None:
        self._files = FanOut(directory / "payloads")
        self._extension = settings.layout.file_extension
        self._log = IndexLog(directory / "index.log")
        for record in self._log.replay():
            self._replay(record)
        # A crash between payload and index leaves a payload that nothing refers to.
        known = set(map(self._name, self._references))
        orphans = [entry.name for entry in self._files.entries() if entry.name not in known]
        self._files.remove(orphans)

    def _replay(self, record: bytes) -> None:
        position = 0
        while position < len(record):
            kind, key_bytes = _HEAD.unpack_from(record, position)
            start = position + _HEAD.size
            position = start + key_bytes
            key = record[start:position].decode("ascii")
            if kind == _PUT:
                self._remember((key,), (record[position : position + _DIGEST_BYTES],))
                position += _DIGEST_BYTES
            else:
                self._forget((key,))

    def _detach(self) -> None:
        if self._log is not None:
            self._log.close()
        self._log = None
        self._files = None
        self._digests.clear()
        self._references.clear()

    def _opened(self) -> tuple[FanOut, IndexLog]:
        if self._files is None or self._log is None:
            raise self._not_entered()
        return self._files, self._log


def _entry(kind: int, key: str, digest: bytes = b"") -> bytes:
    name = key.encode("ascii")
    return _HEAD.pack(kind, len(name)) + name + digest


def _put_entry(key: str, digest: bytes) -> bytes:
    return _entry(_PUT, key, digest)
