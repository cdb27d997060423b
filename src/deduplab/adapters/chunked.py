"""The reference store ``chunked``: content-defined chunks, so near duplicates are found too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

from blake3 import blake3

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._marker import Settings
from deduplab.adapters._packs import PackFiles
from deduplab.adapters._recipes import DIGEST_BYTES, Place, Recipes
from deduplab.adapters._reference import (
    REFERENCE_COMPONENTS,
    Buffer,
    IndexLog,
    ReferenceAdapter,
)
from deduplab.bound.chunkers import cut_points

AVERAGE_CHUNK_BYTES: Final = 4096
_COPY_BYTES: Final = 4 * 1024 * 1024  # how much a repack holds in memory


class ChunkedAdapter(ReferenceAdapter):
    """Cuts each object alone by its content and keeps each distinct chunk once, in pack files.

    Known answer: the component ``data`` is the unique bytes at grain
    ``cdc-4096``, whole copies and near duplicates alike. The index takes about
    40 bytes a distinct chunk, and 4 a reference. A delete drops references
    only; the chunks stay, and are used again by a refill, until ``repack``.
    """

    product = "chunked"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(Variant("default", "FastCDC, 4 KiB on average, BLAKE3"),),
        layouts=LAYOUTS,
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("repack",),
        background_work=False,
    )
    file_components = REFERENCE_COMPONENTS

    def __init__(self) -> None:
        super().__init__()
        self._packs: PackFiles | None = None
        self._log: IndexLog | None = None
        self._recipes = Recipes()

    def get(self, key: str) -> bytes | None:
        """Return the payload of a key, put together from its chunks; None if there is none."""
        packs, _ = self._opened()
        places = self._recipes.places(key)
        if places is None:
            return None
        try:
            return b"".join(packs.read(*place) for place in places)
        except OSError as error:
            raise self._failed(f"get of {key!r}", error) from error

    def delete(self, keys: Sequence[str]) -> int:
        """Drop these objects' references to their chunks; no chunk goes."""
        _, log = self._opened()
        known = [key for key in dict.fromkeys(keys) if key in self._recipes]
        if known:
            record = self._recipes.deletion_of(known)
            try:
                log.append(record)
            except OSError as error:
                raise self._failed(f"delete of {len(keys)} objects", error) from error
            self._recipes.apply(record)
        return len(known)

    def count(self) -> int:
        """Return the number of objects in the index."""
        self._opened()
        return len(self._recipes)

    def reclaim(self, mode: str) -> None:
        """Copy the live chunks out of packs with dead ones, rewrite the index, remove the packs."""
        self._check_reclaim(mode)
        packs, log = self._opened()
        doomed = self._recipes.dead_packs()
        try:
            moved = self._copied(packs, doomed)
            log.rewrite(self._recipes.compacted(moved))
            self._load(packs, log)
        except OSError as error:
            raise self._failed("repack", error) from error

    def _copied(self, packs: PackFiles, doomed: set[int]) -> dict[bytes, Place]:
        """Copy the live chunks of these packs into new ones; return their new places."""
        moved: dict[bytes, Place] = {}
        if packs.newest in doomed:
            packs.begin()
        digests: list[bytes] = []
        chunks: list[bytes] = []
        waiting_bytes = 0

        def write() -> None:
            for digest, chunk, at in zip(digests, chunks, packs.append(chunks), strict=True):
                moved[digest] = (*at, len(chunk))

        for digest, place in self._recipes.live():
            if place[0] not in doomed:
                continue
            if waiting_bytes > _COPY_BYTES:
                write()
                digests, chunks, waiting_bytes = [], [], 0
            digests.append(digest)
            chunks.append(packs.read(*place))
            waiting_bytes += place[2]
        write()
        return moved

    def _insert(self, keys: Sequence[str], payloads: Sequence[Buffer]) -> None:
        packs, log = self._opened()
        recipes = self._recipes
        self._check_new(keys, recipes.__contains__)
        new: dict[bytes, Buffer] = {}
        objects: list[tuple[str, list[bytes]]] = []
        for key, payload in zip(keys, payloads, strict=True):
            digests = []
            for chunk in _chunks(payload):
                digest = blake3(chunk).digest(DIGEST_BYTES)
                digests.append(digest)
                if not recipes.knows(digest):
                    new.setdefault(digest, chunk)
            objects.append((key, digests))
        # Chunks first: an index entry on stable storage always finds its chunks.
        before = packs.ends()
        places = packs.append(list(new.values()))
        chunks: list[tuple[bytes, Place]] = [
            (digest, (*at, len(chunk)))
            for (digest, chunk), at in zip(new.items(), places, strict=True)
        ]
        record = recipes.record_of(chunks, objects)
        try:
            log.append(record)
        except OSError:
            packs.keep(before)
            raise
        recipes.apply(record)

    def _components(self) -> dict[str, int]:
        packs, log = self._opened()
        live_bytes = self._recipes.live_bytes()
        return {
            "data": live_bytes,
            "dead": packs.total_bytes() - live_bytes,
            "index": log.size_bytes,
        }

    def _truncate(self) -> None:
        packs, log = self._opened()
        log.rewrite(())
        self._load(packs, log)

    def _load(self, packs: PackFiles, log: IndexLog) -> None:
        """Read the index, and drop what it does not know of: the rest of a crash or a repack."""
        self._recipes = Recipes()
        for record in log.replay():
            self._recipes.apply(record)
        packs.keep(self._recipes.ends())

    def _attach(self, directory: Path, settings: Settings) -> None:
        self._packs = PackFiles(directory / "packs")
        self._log = IndexLog(directory / "index.log")
        self._load(self._packs, self._log)

    def _detach(self) -> None:
        if self._packs is not None:
            self._packs.close()
        if self._log is not None:
            self._log.close()
        self._packs = self._log = None
        self._recipes = Recipes()

    def _opened(self) -> tuple[PackFiles, IndexLog]:
        if self._packs is None or self._log is None:
            raise self._not_entered()
        return self._packs, self._log


def _chunks(payload: Buffer) -> Iterator[Buffer]:
    start = 0
    for end in cut_points(payload, AVERAGE_CHUNK_BYTES):
        yield payload[start:end]
        start = end
