"""Mirrors: a reference store that keeps further copies of itself, so that R has a known answer.

Each mirror is a store of the same kind in a directory of its own, and does what the first one
does before an operation is acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from deduplab.adapters._per_object import PerObjectAdapter
from deduplab.batch import Batch
from deduplab.model import Identity
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint

MOST_REPLICAS: Final = 9


class MirroredAdapter(PerObjectAdapter):
    """Base of the reference stores that may have mirrors: one for each further member."""

    def __init__(self) -> None:
        super().__init__()
        self._mirrors: list[MirroredAdapter] = []

    def open(self, endpoint: Endpoint) -> None:
        """Open the store and its mirrors."""
        super().open(endpoint)
        while len(self._mirrors) < len(endpoint.members):
            self._mirrors.append(type(self)())
        for mirror, member in zip(self._mirrors, endpoint.members, strict=True):
            mirror.open(member)

    def close(self) -> None:
        """Close all."""
        self._repeat(lambda mirror: mirror.close())
        super().close()

    def create(
        self,
        namespace: str,
        *,
        layout: str,
        variant: str,
        durability: str,
        record_type: RecordType | None = None,
    ) -> None:
        """Create the namespace in all."""

        def made(create: Callable[..., None]) -> None:
            create(
                namespace,
                layout=layout,
                variant=variant,
                durability=durability,
                record_type=record_type,
            )

        made(super().create)
        self._repeat(lambda mirror: made(mirror.create))

    def destroy(self) -> None:
        """Remove the namespace of all."""
        super().destroy()
        self._repeat(lambda mirror: mirror.destroy())

    def put(self, key: str, payload: Stored) -> None:
        """Store one object in all; on stable storage at the return."""
        super().put(key, payload)
        if self._mirrors:
            self._repeat(lambda mirror: mirror.put(key, payload))

    def put_many(self, batch: Batch) -> int:
        """Store a batch in all."""
        acknowledged = super().put_many(batch)
        return min(acknowledged, *(mirror.put_many(batch) for mirror in self._mirrors), len(batch))

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these objects in all."""
        deleted = super().delete(keys)
        return min(deleted, *(mirror.delete(keys) for mirror in self._mirrors), len(keys))

    def empty(self, mode: str) -> None:
        """Empty all."""
        super().empty(mode)
        self._repeat(lambda mirror: mirror.empty(mode))

    def reclaim(self, mode: str) -> None:
        """Run the maintenance of all."""
        super().reclaim(mode)
        self._repeat(lambda mirror: mirror.reclaim(mode))

    def physical_copies(self) -> int:
        """Return how many stores hold as many objects and bytes as the first."""
        own = (self.count(), self.engine_reading().components)
        found = ((one.count(), one.engine_reading().components) for one in self._mirrors)
        return 1 + sum(one == own for one in found)

    def identity(self) -> Identity:
        """Return the first one's identity; with mirrors its settings tell the copies."""
        found = super().identity()
        if not self._mirrors:
            return found
        replicas = {"replicas": str(1 + len(self._mirrors))}
        return replace(found, configuration=found.configuration | replicas)

    def _repeat(self, done: Callable[[MirroredAdapter], None]) -> None:
        for mirror in self._mirrors:
            done(mirror)
