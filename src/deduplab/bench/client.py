"""One of several clients of a cell: a process of its own, with a connection of its own.

It is told what to do by the cell's process, and when: each of the orders here has one answer.
Between two of its timed regions it is told nothing that it would have to work on meanwhile.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.adapter import Adapter
from deduplab.bench.clock import Timing
from deduplab.bench.containers import Containers
from deduplab.bench.open_loop import OpenTiming
from deduplab.bench.pace import Dealt, wait_until
from deduplab.errors import (
    DatasetError,
    DeduplabError,
    DiskSpaceError,
    NamespaceRefused,
    OperationFailed,
    SystemRefused,
    SystemUnavailable,
    Unsupported,
)
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint

READY: Final = "ready"

_KINDS: Final[tuple[type[DeduplabError], ...]] = (
    SystemRefused, SystemUnavailable, Unsupported, DiskSpaceError, NamespaceRefused, DatasetError,
)  # fmt: skip
"""What an error is taken for in the cell's process; any other is an operation that failed."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """The order to connect, and to join the namespace.

    Attributes
    ----------
    joining
        What the adapter there says, or a pair where copies lie across two containers.
    native
        Whether it has to know the record type.
    """

    adapter_class: type[Adapter]
    joining: object
    endpoint: Endpoint
    native: bool


@dataclass(frozen=True, slots=True)
class Reopening:
    """The order to connect anew, where the instance was restarted."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Beginning:
    """A stage begins, with the rate of all clients together; None is a closed loop."""

    rate_per_s: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """What one client is to do in the next timed region, in order.

    Attributes
    ----------
    verb
        ``put`` (keys with what is stored there), ``get`` or ``delete`` (keys).
    due_ns
        When each is due from when the region's first of all clients is, and when the one
        behind that region would be; empty in a closed loop.
    """

    verb: str
    keys: list[str]
    stored: list[Stored] = field(default_factory=list)
    due_ns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Start:
    """The order to begin with the share at this moment of the performance counter."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer when the share is done: when that was."""

    at_ns: int


class Giving:
    """The order to give what came of the share; not before all clients have ended theirs."""


@dataclass(frozen=True, slots=True)
class Given:
    """What came of a share: raw nanoseconds, as a timing has them, and what was read."""

    raw_ns: npt.NDArray[np.int64]
    acknowledged: int
    found: list[Stored | None]


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer where an order failed."""

    kind: type[DeduplabError]
    words: str


class Client:
    """The work of such a process.

    Parameters
    ----------
    connection
        To the cell's process.
    record_type
        Makes the record type of the cell's data; asked only where the layout is native.
    """

    def __init__(
        self, connection: Connection, record_type: Callable[[], RecordType | None]
    ) -> None:
        self._connection = connection
        self._record_type = record_type
        self._adapter: Adapter | None = None
        self._timing = Timing()
        self._dealt = Dealt(0)
        self._share = Share("", [])
        self._found: list[Stored | None] = []
        self._given = 0

    def serve(self) -> None:
        """Do what is ordered until nobody is there to order any more."""
        while True:
            order = self._connection.recv()
            try:
                answer: object = self._done(order)
            except DeduplabError as error:
                kind = next((one for one in _KINDS if isinstance(error, one)), OperationFailed)
                answer = Failure(kind, str(error))
            except Exception as error:  # a driver's own must cost a stage, not hang the others
                where = traceback.extract_tb(error.__traceback__)[-1]
                words = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
                answer = Failure(OperationFailed, f"{words}: {' '.join(str(error).split())}")
            self._connection.send(answer)

    def _done(self, order: object) -> object:
        match order:
            case Start(at_ns):
                return self._work(at_ns)
            case Giving():
                return self._give()
            case Share():
                self._share = order
            case Beginning(rate_per_s):
                self._begin(rate_per_s)
            case Entrance():
                self._enter(order)
            case Reopening(endpoint):
                self._entered.close()
                self._entered.open(endpoint)
        return READY

    def _enter(self, order: Entrance) -> None:
        adapter: Adapter = order.adapter_class()
        if isinstance(order.joining, tuple):
            adapter = Containers(adapter, order.adapter_class())
        adapter.open(order.endpoint)
        adapter.join(order.joining, self._record_type() if order.native else None)
        self._adapter = adapter

    def _begin(self, rate_per_s: float | None) -> None:
        self._timing = Timing()
        if rate_per_s is not None:
            self._dealt = Dealt(rate_per_s)
            self._timing = OpenTiming(pace=self._dealt)
        self._given = 0
        self._entered.look_again()

    def _work(self, at_ns: int) -> Ended:
        share, timing, adapter = self._share, self._timing, self._entered
        before_ns = timing.duration_ns
        self._dealt.due_ns = share.due_ns
        wait_until(at_ns)
        begun_ns = time.perf_counter_ns()
        if isinstance(timing, OpenTiming):
            timing.late_ns += begun_ns - at_ns  # the schedule began when all were to begin
        if share.verb == "put":
            timing.each_put(adapter.put, share.keys, share.stored)
        elif share.verb == "get":
            self._found = timing.each_get(adapter.get, share.keys)
        elif share.keys or share.due_ns:
            timing.delete(adapter.delete, share.keys)
        return Ended(begun_ns + timing.duration_ns - before_ns)

    def _give(self) -> Given:
        timing, found = self._timing, self._found
        raw_ns = timing.raw_ns()[..., self._given :]
        given = Given(raw_ns, timing.acknowledged, found)
        self._given += raw_ns.shape[-1]
        timing.acknowledged, self._found, self._share = 0, [], Share("", [])
        return given

    @property
    def _entered(self) -> Adapter:
        assert self._adapter is not None
        return self._adapter
