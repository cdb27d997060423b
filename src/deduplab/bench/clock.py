"""The timed regions: nothing but the clock and the operations is inside them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from deduplab.record import Stored
from deduplab.server import Endpoint


@dataclass(slots=True)
class Timing:
    """What a stage's timed regions gave so far; a closed loop: each operation begins at once.

    ``duration_ns`` is the sum of the regions, ``latencies_ns`` has one entry
    per operation, ``acknowledged`` counts objects.
    """

    duration_ns: int = 0
    acknowledged: int = 0
    latencies_ns: list[int] = field(default_factory=list)

    def batch(self, operation: Callable[[], int]) -> None:
        """Time one operation on many objects; it returns how many were acknowledged."""
        with no_collection():
            begin = time.perf_counter_ns()
            acknowledged = operation()
            elapsed = time.perf_counter_ns() - begin
        self.duration_ns += elapsed
        self.latencies_ns.append(elapsed)
        self.acknowledged += acknowledged

    def each_put(
        self, put: Callable[[str, Stored], None], keys: Sequence[str], payloads: Sequence[Stored]
    ) -> None:
        """Time one operation per object; what returns without an error is acknowledged."""
        clock = time.perf_counter_ns
        append = self.latencies_ns.append
        with no_collection():
            first = clock()
            for key, payload in zip(keys, payloads, strict=True):
                begin = clock()
                put(key, payload)
                append(clock() - begin)
            self.duration_ns += clock() - first
        self.acknowledged += len(keys)

    def each_get(
        self, get: Callable[[str], Stored | None], keys: Sequence[str]
    ) -> list[Stored | None]:
        """Time one read per key, and return what was read, to be verified outside the clock."""
        found: list[Stored | None] = []
        clock = time.perf_counter_ns
        append = self.latencies_ns.append
        keep = found.append
        with no_collection():
            first = clock()
            for key in keys:
                begin = clock()
                payload = get(key)
                append(clock() - begin)
                keep(payload)
            self.duration_ns += clock() - first
        return found

    def delete(self, delete: Callable[[Sequence[str]], int], keys: Sequence[str]) -> None:
        """Time the deletion of these objects, in one request."""
        self.batch(lambda: delete(keys))

    @property
    def rate_per_s(self) -> float | None:
        """The rate at which operations were offered; None: none was, the loop is closed."""
        return None

    @property
    def clients(self) -> int:
        """How many clients did the operations."""
        return 1

    @property
    def waited_ns(self) -> int:
        """How long clients that were done waited for the last one, all of them together."""
        return 0

    def reopened(self, endpoint: Endpoint) -> None:
        """Take note that the instance was restarted: whoever else is connected does it anew."""
        return

    def ended(self) -> None:
        """Take note that the stage has done its last operation."""
        return

    def raw_ns(self) -> npt.NDArray[np.int64]:
        """Return what is kept of each operation: its latency; shape (operations,)."""
        return np.asarray(self.latencies_ns, dtype=np.int64)


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python's cyclic garbage collector out of a timed region."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
