"""The timed regions of an open loop: operations begin when they are due, whatever happened before.

Latency counts from the moment at which an operation was due. So what waits behind a slow one
waits in the figures, too, as it would for users, who come whether or not the system is done with
those before them. A closed loop asks one slow operation and then goes on, and omits that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from deduplab.bench.clock import Timing, no_collection
from deduplab.bench.pace import Due, Pace, wait_until
from deduplab.cell import Cell
from deduplab.model import Stage, is_paced
from deduplab.record import Stored

_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class OpenTiming(Timing):
    """What a stage's timed regions gave so far, where operations have a time to begin.

    One client does one operation at a time: each begins when it is due, or when the one before
    has ended, if that is later. Between two regions, while payloads are made and answers are
    compared, the schedule stands still; how late it was goes along.

    ``latencies_ns`` count from when each operation was due, ``service_ns`` from when it began.
    ``duration_ns`` contains the waiting, and ends when the operation behind the last would be
    due: with it the rate that was attained is never above the one that was offered.

    Attributes
    ----------
    pace
        When operations are due.
    late_ns
        How late the next operation is before its region begins.
    now, wait_until
        The clock; another one in tests.
    """

    pace: Due
    service_ns: list[int] = field(default_factory=list)
    late_ns: int = 0
    now: Callable[[], int] = time.perf_counter_ns
    wait_until: Callable[[int], None] = wait_until

    def each_put(
        self, put: Callable[[str, Stored], None], keys: Sequence[str], payloads: Sequence[Stored]
    ) -> None:
        """Time one operation per object, each at its time."""
        self._each(put, zip(keys, payloads, strict=True), len(keys))
        self.acknowledged += len(keys)

    def each_get(
        self, get: Callable[[str], Stored | None], keys: Sequence[str]
    ) -> list[Stored | None]:
        """Time one read per key, each at its time, and return what was read."""
        return self._each(get, ((key,) for key in keys), len(keys))

    def delete(self, delete: Callable[[Sequence[str]], int], keys: Sequence[str]) -> None:
        """Time one deletion per object, each at its time."""
        self.acknowledged += sum(self._each(delete, (([key],) for key in keys), len(keys)))

    @property
    def rate_per_s(self) -> float | None:
        """The rate at which operations were offered."""
        return self.pace.rate_per_s

    def raw_ns(self) -> npt.NDArray[np.int64]:
        """Return latency and service time of each operation; shape (2, operations)."""
        return np.array([self.latencies_ns, self.service_ns], dtype=np.int64)

    def _each(
        self, operate: Callable[..., _T], arguments: Iterable[tuple[Any, ...]], count: int
    ) -> list[_T]:
        due_ns = self.pace.take(count)
        answers: list[_T] = []
        now, wait_until = self.now, self.wait_until
        keep, latency, service = answers.append, self.latencies_ns.append, self.service_ns.append
        with no_collection():
            begun = end = now()
            start = begun - self.late_ns
            for offset_ns, given in zip(due_ns, arguments, strict=False):
                intended = start + offset_ns
                wait_until(intended)
                begin = now()
                answer = operate(*given)
                end = now()
                latency(end - intended)
                service(end - begin)
                keep(answer)
        next_due = start + due_ns[-1]
        self.late_ns = max(0, end - next_due)
        self.duration_ns += max(end, next_due) - begun
        return answers


def timing_of(cell: Cell, stage: Stage, mode: str, position: int) -> Timing:
    """Return what times a stage of a cell: an open loop where the cell has a rate for it."""
    if cell.rate_per_s is None or not is_paced(stage, mode):
        return Timing()
    # That of the cell with one client: several share the same schedule.
    seed = int(replace(cell, clients=1).cell_id, 16) + position
    return OpenTiming(pace=Pace(cell.rate_per_s, cell.arrivals, seed))
