"""An adapter that lies or fails in one named way, to prove that the bench finds out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from deduplab.adapter import Adapter
from deduplab.batch import Batch
from deduplab.errors import OperationFailed, PlanError, ProbeError, SystemUnavailable, unknown_name
from deduplab.model import Identity, Reading
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint
from deduplab.testing._alterations import flipped, halved
from deduplab.testing.payloads import batch_of

FAULTS: Final[dict[str, str]] = {
    "fail": "the put or batch that holds the object raises OperationFailed; none of it is stored",
    "unavailable": "the put or batch that holds the object raises SystemUnavailable",
    "refuse": "the object is not stored; put raises, put_many acknowledges one fewer",
    "queued_only": "the object is acknowledged and never stored",
    "short": "the object is stored without its second half",
    "corrupt": "the object is stored with one bit flipped",
    "swapped": "the object is stored with the payload of the object put before it",
    "twice": "the object is stored a second time, under another key, and acknowledged once",
    "boast": "the put_many that holds the object acknowledges one more than it stored",
    "lost_after_flush": "the object is stored, and lost by the next flush",
    "lost_in_reclaim": "the object is stored, and lost by the next reclaim",
    "undeleted": "the object's deletion is acknowledged and not done",
    "underdeleted": "the object's deletion is not done, and delete acknowledges one fewer",
    "undead": "the object is deleted, and back after the next flush",
    "delete_fails": "the delete that holds the object raises OperationFailed",
    "wrong_read": "the object is read with one bit flipped",
    "unread": "the object is not found when it is read",
    "miscount": "count is one too many",
    "restless": "idle_signals never reach zero",
    "no_reading": "engine_reading raises ProbeError",
    "another_instance": "from the object on, identity tells of another instance",
}
"""Every fault, and what it does; "the object" is the one with the number ``at``."""


class FaultyAdapter(Adapter):
    """Wraps an adapter and does one thing wrong.

    Parameters
    ----------
    inner
        The adapter that does the work.
    fault
        One of :data:`FAULTS`.
    at
        Which object is hit: its number, from 0, in the order of being put over
        the adapter's life. Faults of ``delete`` and ``get`` hit it by its key.

    Raises
    ------
    PlanError
        If there is no such fault.
    """

    def __init__(self, inner: Adapter, fault: str, *, at: int = 0) -> None:
        if fault not in FAULTS:
            raise PlanError(unknown_name("fault", fault, tuple(FAULTS)))
        # What the inner adapter's class says, said by this instance.
        self.capabilities = inner.capabilities  # type: ignore[misc]
        self.file_components = inner.file_components  # type: ignore[misc]
        self.inner = inner
        self.fault = fault
        self._at = at
        self._put = 0  # objects that a put was asked for
        self.instance_components = inner.instance_components  # type: ignore[misc]
        self._record_type: RecordType | None = None  # what the namespace stores natively
        self._before: Stored = b""
        self._key: str | None = None  # of the object that is hit, once it was put
        self._payload: Stored = b""

    @property
    def hit(self) -> bool:
        """Whether the object that is hit was put already."""
        return self._key is not None

    def put(self, key: str, payload: Stored) -> None:
        """Put one object; it may be the one."""
        if not self._is_hit([(key, payload)]):
            self.inner.put(key, payload)
            return
        self._raise_if("fail", "refuse", what=f"put of {key!r}")
        for stored_key, stored in self._stored_as(key, payload):
            self.inner.put(stored_key, stored)

    def put_many(self, batch: Batch) -> int:
        """Put a batch; the object may be in it."""
        payloads: Sequence[Stored] = batch.records if self._record_type else batch.payloads
        objects = list(zip(batch.keys, payloads, strict=True))
        if not self._is_hit(objects):
            return self.inner.put_many(batch)
        self._raise_if("fail", what=f"put of {len(batch)} objects")
        stored = [
            pair
            for key, payload in objects
            for pair in (self._stored_as(key, payload) if key == self._key else ((key, payload),))
        ]
        acknowledged = self.inner.put_many(batch_of(stored, self._record_type)) if stored else 0
        missing = len(objects) - len(stored)
        if self.fault == "boast":
            return acknowledged + 1
        return acknowledged if self.fault == "refuse" else acknowledged + missing

    def get(self, key: str) -> Stored | None:
        """Get an object; it may be the one."""
        payload = self.inner.get(key)
        if key != self._key or payload is None:
            return payload
        if self.fault == "unread":
            return None
        return flipped(payload) if self.fault == "wrong_read" else payload

    def delete(self, keys: Sequence[str]) -> int:
        """Delete objects; the one may be among them."""
        if self._key not in keys:
            return self.inner.delete(keys)
        self._raise_if("delete_fails", what=f"delete of {len(keys)} objects")
        if self.fault not in ("undeleted", "underdeleted"):
            return self.inner.delete(keys)
        others = [key for key in keys if key != self._key]
        deleted = self.inner.delete(others) if others else 0
        return deleted + (self.fault == "undeleted")

    def empty(self, mode: str) -> None:
        """Delete all objects, or all but the one."""
        self._raise_if("delete_fails", what=f"empty by {mode}")
        self.inner.empty(mode)
        if self.fault in ("undeleted", "underdeleted") and self._key is not None:
            self.inner.put(self._key, self._payload)

    def flush(self) -> None:
        """Flush; the object may be lost or come back."""
        if self.fault == "lost_after_flush":
            self._lose()
        if self.fault == "undead" and self._key is not None and self.inner.get(self._key) is None:
            self.inner.put(self._key, self._payload)
        self.inner.flush()

    def reclaim(self, mode: str) -> None:
        """Reclaim; the object may be lost."""
        if self.fault == "lost_in_reclaim":
            self._lose()
        self.inner.reclaim(mode)

    def count(self) -> int:
        """Count the objects."""
        return self.inner.count() + (self.fault == "miscount" and self.hit)

    def engine_reading(self) -> Reading:
        """Return the system's own reading."""
        if self.fault == "no_reading":
            raise ProbeError("injected fault: the system does not tell its size")
        return self.inner.engine_reading()

    def physical_copies(self) -> int:
        """Return the system's copies."""
        return self.inner.physical_copies()

    def idle_signals(self) -> Mapping[str, int]:
        """Return the system's signals."""
        signals = dict(self.inner.idle_signals())
        if self.fault == "restless" and self.hit:
            signals["injected"] = 1
        return signals

    def identity(self) -> Identity:
        """Return the system's identity."""
        identity = self.inner.identity()
        if self.fault == "another_instance" and self.hit:
            return dataclasses.replace(identity, instance=f"{identity.instance}-other")
        return identity

    def open(self, endpoint: Endpoint) -> None:
        """Open the inner adapter."""
        self.inner.open(endpoint)

    def close(self) -> None:
        """Close the inner adapter."""
        self.inner.close()

    def create(
        self,
        namespace: str,
        *,
        layout: str,
        variant: str,
        durability: str,
        record_type: RecordType | None = None,
    ) -> None:
        """Create the namespace."""
        self._record_type = record_type if layout == "native" else None
        self.inner.create(
            namespace,
            layout=layout,
            variant=variant,
            durability=durability,
            record_type=record_type,
        )

    def destroy(self) -> None:
        """Drop the namespace."""
        self.inner.destroy()

    def counters(self) -> Mapping[str, int]:
        """Return the system's counters."""
        return self.inner.counters()

    def _is_hit(self, objects: Sequence[tuple[str, Stored]]) -> bool:
        """Count the objects; return whether the one is among them, and remember it."""
        place = self._at - self._put
        self._put += len(objects)
        if not 0 <= place < len(objects):
            if objects:
                self._before = objects[-1][1]
            return False
        if place:
            self._before = objects[place - 1][1]
        self._key, self._payload = objects[place]
        return True

    def _raise_if(self, *faults: str, what: str) -> None:
        if self.fault == "unavailable":
            raise SystemUnavailable(f"injected fault: {what}: the system went away")
        if self.fault in faults:
            raise OperationFailed(f"injected fault: {what} failed")

    def _stored_as(self, key: str, payload: Stored) -> Iterable[tuple[str, Stored]]:
        """Return what is stored instead of the object that is hit."""
        alterations: dict[str, Callable[[], list[tuple[str, Stored]]]] = {
            "refuse": list,
            "queued_only": list,
            "short": lambda: [(key, halved(payload))],
            "corrupt": lambda: [(key, flipped(payload))],
            "swapped": lambda: [(key, self._before)],
            "twice": lambda: [(key, payload), (f"{key}.again", payload)],
        }
        altered = alterations.get(self.fault)
        return altered() if altered else [(key, payload)]

    def _lose(self) -> None:
        if self._key is not None:
            self.inner.delete([self._key])


def faulty_class(inner: type[Adapter], fault: str, *, at: int = 0) -> type[Adapter]:
    """Return a class without arguments, to be put in a registry's place of ``inner``."""

    class Faulty(FaultyAdapter):
        """One adapter class with one fault."""

        capabilities = inner.capabilities
        file_components = inner.file_components
        instance_components = inner.instance_components

        def __init__(self) -> None:
            super().__init__(inner(), fault, at=at)

    return Faulty
