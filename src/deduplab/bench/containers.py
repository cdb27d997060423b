"""Two containers of one instance, driven as one: for copies that lie across them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from deduplab.adapter import Adapter
from deduplab.batch import Batch
from deduplab.datasets import SECOND_CONTAINER
from deduplab.model import Identity, Layer, Reading, Ruler
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint

SECOND_NAMESPACE_SUFFIX = "-2"


class Containers(Adapter):
    """Two adapters of one kind, each in a namespace of its own on the same instance.

    A key that ends with ``x`` belongs to the second. All objects of a batch
    belong to one of them, so a batch is handed on as it is.
    """

    def __init__(self, first: Adapter, second: Adapter) -> None:
        self._both = (first, second)
        # Bound once: what runs under the clock is one look at the key and the adapter's verb.
        self._puts = (first.put, second.put)
        self._gets = (first.get, second.get)
        self.capabilities = first.capabilities  # type: ignore[misc]
        self.file_components = first.file_components  # type: ignore[misc]
        self.instance_components = first.instance_components  # type: ignore[misc]

    @property
    def kind(self) -> type[Adapter]:
        """The class of both."""
        return type(self._both[0])

    def open(self, endpoint: Endpoint) -> None:
        """Open both."""
        for adapter in self._both:
            adapter.open(endpoint)

    def close(self) -> None:
        """Close both, the second even if the first fails."""
        first, second = self._both
        try:
            second.close()
        finally:
            first.close()

    def entered(self) -> object | None:
        """Return what the first says: most of what counters tell is the whole instance's."""
        return self._both[0].entered()

    def joining(self) -> object | None:
        """Return what both say; None where one can't be joined."""
        both = tuple(adapter.joining() for adapter in self._both)
        return None if None in both else both

    def join(self, joining: object, record_type: RecordType | None = None) -> None:
        """Join both."""
        assert isinstance(joining, tuple)
        for adapter, one in zip(self._both, joining, strict=True):
            adapter.join(one, record_type)

    def look_again(self) -> None:
        """Have both look again."""
        for adapter in self._both:
            adapter.look_again()

    def create(
        self,
        namespace: str,
        *,
        layout: str,
        variant: str,
        durability: str,
        record_type: RecordType | None = None,
    ) -> None:
        """Create two namespaces; the second one's name ends with ``-2``."""
        names = (namespace, namespace + SECOND_NAMESPACE_SUFFIX)
        for adapter, name in zip(self._both, names, strict=True):
            adapter.create(
                name,
                layout=layout,
                variant=variant,
                durability=durability,
                record_type=record_type,
            )

    def destroy(self) -> None:
        """Drop both namespaces."""
        for adapter in self._both:
            adapter.destroy()

    def put(self, key: str, payload: Stored) -> None:
        """Store one object in the container of its key."""
        self._puts[key.endswith(SECOND_CONTAINER)](key, payload)

    def put_many(self, batch: Batch) -> int:
        """Store a batch in the container of its objects."""
        return self._both[batch.keys[0].endswith(SECOND_CONTAINER)].put_many(batch)

    def get(self, key: str) -> Stored | None:
        """Return the payload of a key from its container."""
        return self._gets[key.endswith(SECOND_CONTAINER)](key)

    def delete(self, keys: Sequence[str]) -> int:
        """Delete the objects of each container in one request."""
        second = [key for key in keys if key.endswith(SECOND_CONTAINER)]
        first = [key for key in keys if not key.endswith(SECOND_CONTAINER)]
        return sum(
            adapter.delete(own)
            for adapter, own in zip(self._both, (first, second), strict=True)
            if own
        )

    def empty(self, mode: str) -> None:
        """Empty both."""
        for adapter in self._both:
            adapter.empty(mode)

    def count(self) -> int:
        """Return the objects of both."""
        return sum(adapter.count() for adapter in self._both)

    def flush(self) -> None:
        """Flush both."""
        for adapter in self._both:
            adapter.flush()

    def reclaim(self, mode: str) -> None:
        """Run explicit maintenance on both, one after the other."""
        for adapter in self._both:
            adapter.reclaim(mode)

    def engine_reading(self) -> Reading:
        """Return the sum over both; what belongs to the whole instance is counted once."""
        first, second = (adapter.engine_reading() for adapter in self._both)
        components = Counter(first.components)
        shared_bytes = 0
        for name, component_bytes in second.components.items():
            if name in self.instance_components:
                shared_bytes += component_bytes
            else:
                components[name] += component_bytes
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=first.total_bytes + second.total_bytes - shared_bytes,
            source=f"{first.source}, of two containers",
            at_unix_ns=second.at_unix_ns,
            components=dict(components),
        )

    def physical_copies(self) -> int:
        """Return how many members hold all of both."""
        return min(adapter.physical_copies() for adapter in self._both)

    def idle_signals(self) -> Mapping[str, int]:
        """Return the greater of either's signals."""
        first, second = (adapter.idle_signals() for adapter in self._both)
        return {name: max(first.get(name, 0), second.get(name, 0)) for name in {**first, **second}}

    def counters(self) -> Mapping[str, int]:
        """Return the first one's counters."""
        return self._both[0].counters()

    def identity(self) -> Identity:
        """Return the instance's identity, as the first one sees it."""
        return self._both[0].identity()
