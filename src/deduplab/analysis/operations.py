"""What single operations of a stage took, from raw nanoseconds; in open loops, how late they were.

In a closed loop latency is all there is. In an open one it counts from the moment at which an
operation was due, and contains what it waited for those before it; its service time does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.analysis.context import Context, Place, cells_left_out
from deduplab.analysis.groups import Group
from deduplab.analysis.row import Row
from deduplab.analysis.statistics import (
    Estimate,
    estimate,
    first_column,
    percentiles,
    quotient,
)
from deduplab.store import Run
from deduplab.units import format_rate

PERCENTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999))
_OF_A_CLIENT: Final = (("p50", 0.5), ("p99", 0.99))
Nanoseconds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of one stage, by repetition.

    Attributes
    ----------
    latencies_ns
        One array a repetition that timed anything.
    service_ns
        The same from when each operation began; empty for a closed loop.
    rate_per_s
        The rate at which they were offered; None: a closed loop.
    remark
        What else is to be said beside each figure.
    clients
        How many did them: operation i was done by client i mod n.
    idle_ratios
        The share of the clients' time in which they had ended and waited for the last one, by
        repetition.
    """

    latencies_ns: tuple[Nanoseconds, ...]
    service_ns: tuple[Nanoseconds, ...]
    rate_per_s: float | None
    remark: str
    clients: int = 1
    idle_ratios: tuple[float, ...] = ()

    @classmethod
    def read(cls, run: Run, group: Group, position: int, ids: Mapping[int, str]) -> Operations:
        """Read those of all cells of a group that count; ``ids`` are theirs, by ``id(cell)``."""
        latencies, service, idle = [], [], []
        rate_per_s, clients = None, 1
        for cell in group.counting:
            if position >= len(cell.measurements) or not cell.measurements[position].outcome.ok:
                continue
            measurement = cell.measurements[position]
            rate_per_s, count = measurement.rate_per_s, measurement.operations
            clients = measurement.clients
            if not count:
                continue
            idle.append(measurement.clients_waited_ns / (clients * max(1, measurement.duration_ns)))
            latencies.append(run.latencies_ns(ids[id(cell)], position, count))
            if rate_per_s is not None:
                service.append(run.service_ns(ids[id(cell)], position, count))
        remark = cells_left_out(group)
        return cls(tuple(latencies), tuple(service), rate_per_s, remark, clients, tuple(idle))

    def of_client(self, number: int) -> tuple[Nanoseconds, ...]:
        """Return the latencies of one client's operations, by repetition."""
        found = (values[number :: self.clients] for values in self.latencies_ns)
        return tuple(values for values in found if len(values))

    @property
    def lateness_ns(self) -> list[Nanoseconds]:
        """How late each operation began, by repetition."""
        return [whole - own for whole, own in zip(self.latencies_ns, self.service_ns, strict=True)]

    @property
    def saturated(self) -> tuple[bool, ...]:
        """Of each repetition whether more was offered than the system could do.

        It was if in the whole second half no operation began before the next one of its client
        was due, and
        the queue did not shorten. After a stall it does, and empties again.
        """
        if self.rate_per_s is None:
            return ()
        gap_ns = self.clients * 1e9 / self.rate_per_s
        halves = (late[len(late) // 2 :] for late in self.lateness_ns)
        return tuple(bool(half.min() >= gap_ns and half[-1] >= half[0]) for half in halves)

    @property
    def words(self) -> str:
        """What is to be said beside a figure that depends on the rate; empty if nothing is."""
        count, of = sum(self.saturated), len(self.saturated)
        if not count or self.rate_per_s is None:
            return self.remark
        where = "" if count == of else f" in {count} of {of} repetitions"
        words = (
            f"saturated{where}: it did not keep up with {format_rate(self.rate_per_s)}, so "
            "latencies grow with the length of the stage"
        )
        return "; ".join(filter(None, (words, self.remark)))


def operation_rows(context: Context, place: Place, found: Operations) -> Iterator[Row]:
    """Yield latencies of one operation: a batch in bulk and refill, else one object.

    An open loop has service times besides, the rate that was offered, and the backlog: how late
    the last operation began.
    """
    if not found.latencies_ns:
        return
    yield from _distribution(context, place, "latency", found.latencies_ns, found.words)
    if found.clients > 1:
        yield from _client_rows(context, place, found)
    if found.rate_per_s is None:
        return
    yield from _distribution(context, place, "service", found.service_ns, found.remark)
    n = len(found.latencies_ns)
    offered = Estimate(found.rate_per_s, None, None, n)
    yield context.figure(place, "offered_per_s", "object/s", offered, found.remark)
    late_s = np.array([[late[-1] / 1e9] for late in found.lateness_ns])
    backlog = estimate(first_column, [late_s])
    yield context.figure(place, "backlog_s", "s", backlog, found.words)
    saturated = estimate(first_column, [np.array([[float(one)] for one in found.saturated])])
    yield context.figure(place, "saturated", "ratio", saturated, found.words)


def _client_rows(context: Context, place: Place, found: Operations) -> Iterator[Row]:
    """Yield how many clients there were, how unevenly they ended, and the latencies of each."""
    n = len(found.latencies_ns)
    clients = Estimate(float(found.clients), None, None, n)
    yield context.figure(place, "clients", "client", clients, found.remark)
    idle = estimate(first_column, [np.array([[one] for one in found.idle_ratios])])
    yield context.figure(place, "clients_idle_ratio", "ratio", idle, found.remark)
    for number in range(found.clients):
        if not (repetitions := found.of_client(number)):
            continue
        figures = percentiles(repetitions, [share for _, share in _OF_A_CLIENT])
        for (which, _), figure in zip(_OF_A_CLIENT, figures, strict=True):
            name = f"latency_{which}_ns:client-{number}"
            yield context.figure(place, name, "ns", figure, found.words)


def _distribution(
    context: Context, place: Place, name: str, repetitions: tuple[Nanoseconds, ...], remark: str
) -> Iterator[Row]:
    operations = sum(len(values) for values in repetitions)
    # Sums and counts, so that the mean is that of all operations and not of the repetitions' means
    sums = np.array([[values.sum(), len(values)] for values in repetitions], dtype=np.float64)
    mean = estimate(quotient, [sums])
    yield context.figure(place, f"{name}_mean_ns", "ns", mean, remark)
    extremes = (
        ("min", min(values.min() for values in repetitions)),
        ("max", max(values.max() for values in repetitions)),
    )
    for which, value in extremes:  # no interval: a bootstrap can't reach beyond an extreme
        extreme = Estimate(float(value), None, None, len(repetitions))
        yield context.figure(place, f"{name}_{which}_ns", "ns", extreme, remark)
    figures = percentiles(repetitions, [share for _, share in PERCENTILES])
    for (which, share), figure in zip(PERCENTILES, figures, strict=True):
        few = operations < math.ceil(1 / (1 - share) - 1e-9)
        note = f"few operations ({operations}): the greatest one" if few else ""
        words = "; ".join(filter(None, (note, remark)))
        yield context.figure(place, f"{name}_{which}_ns", "ns", figure, words)
