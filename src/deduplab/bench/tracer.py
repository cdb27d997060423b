"""The tracer of one cell: a process of its own, which looks at the system ten times a second.

A thread would share the interpreter's lock with the clock. The process is forked before the
cell's own has any thread, told later what there is to see, and has one connection of its own for
as long as the cell takes. An embedded engine, whose files are locked by its process, is seen by
its files and by what the kernel tells.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from deduplab.adapter import Adapter
from deduplab.bench.forked import ForkedProcess
from deduplab.bench.gauges import (
    EngineGauge,
    FilesGauge,
    Gauge,
    PacedGauge,
    ProcessGauge,
    ReplicasGauge,
    VolumeGauge,
)
from deduplab.bench.samples import Samples
from deduplab.errors import DeduplabError
from deduplab.event import Marked, Sampled
from deduplab.feed import Feed
from deduplab.server import Endpoint
from deduplab.trace import Mark, Trace

_DEADLINE_S: Final = 20.0
"""How long the tracer may take to begin, and to end."""
_NS_PER_S: Final = 1_000_000_000

_Tell = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class Watched:
    """What there is to see of a system.

    Attributes
    ----------
    adapter_class
        What asks for the counters.
    entered
        What it has to know of the namespace; None where another process can't ask.
    endpoint
        Where the instance is.
    volume
        The file system of the instance's own, None without one.
    embedded
        Whether the engine runs in the process that drives it.
    clients
        The processes of its clients, where there are several beside the cell's own.
    members
        The data directories of all members of a replicated system; none without replication.
    """

    adapter_class: type[Adapter]
    entered: object | None
    endpoint: Endpoint
    volume: Path | None
    embedded: bool
    clients: tuple[int, ...] = ()
    members: tuple[Path, ...] = ()

    def connect(self) -> Adapter:
        """Return an adapter with a connection of its own, which looks at the namespace."""
        adapter = self.adapter_class()
        try:
            adapter.open(self.endpoint)
            adapter.watch(self.entered)
        except BaseException:
            adapter.close()
            raise
        return adapter


class Tracer:
    """A tracer's process, as the cell's process sees it.

    Parameters
    ----------
    hz
        Samples a second.
    feed
        Where marks and samples are told at once, too; None for nowhere.
    cell_id
        The cell that is told of there.

    Attributes
    ----------
    trace
        What it saw, once it has finished; None where that is missing.
    missing
        Why it is missing; empty as long as nothing speaks against it.
    """

    def __init__(self, hz: float, feed: Feed | None = None, cell_id: str = "") -> None:
        self._began_unix_ns = time.time_ns()
        self._began_ns = time.perf_counter_ns()
        self._marks: list[Mark] = []
        self._feed = feed
        self._cell_id = cell_id
        self._numbers = count()
        self.missing = "the cell ended before there was something to trace"
        self.trace: Trace | None = None
        self._period_ns = round(_NS_PER_S / hz)
        self._process = ForkedProcess(
            "the tracer",
            lambda connection: _trace(connection, self._period_ns, self._tell_sample),
            kept=feed.descriptors() if feed else (),
        )

    @property
    def process_id(self) -> int | None:
        """The process; None once it was ended."""
        return self._process.process_id

    def watch(self, watched: Watched) -> None:
        """Let it see a system, and return when it does: then P(0) contains its connection."""
        self.missing = self._answer(watched)

    def mark(self, position: int, name: str) -> None:
        """Note that something begins now; see :class:`Mark`."""
        now_ns = time.perf_counter_ns()
        self._marks.append(Mark(now_ns - self._began_ns, position, name))
        if self._feed is not None:
            self._feed.tell(Marked(self._unix_ns(now_ns), self._cell_id, position, name))

    def finish(self) -> None:
        """Have it end its look at the system, and take what it saw, or why there is nothing."""
        if self.missing:
            return
        self.mark(-1, "end")
        told = self._answer("end")
        if isinstance(told, str):
            self.missing = told
            return
        samples, reasons, cpu_ns = told
        self.trace = samples.trace(
            self._began_ns, self._began_unix_ns, tuple(self._marks), reasons, cpu_ns
        )

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.close()

    def _tell_sample(self, at_ns: int, values: Mapping[str, float]) -> None:
        """Tell a sample at once; called in the tracer's process."""
        if self._feed is not None:
            at_unix_ns, number = self._unix_ns(at_ns), next(self._numbers)
            self._feed.tell(Sampled(at_unix_ns, self._cell_id, number, dict(values)))

    def _unix_ns(self, at_ns: int) -> int:
        return self._began_unix_ns + at_ns - self._began_ns

    def _answer(self, said: Any) -> Any:
        """Say something to the tracer, and return its answer; a text is why there is none."""
        connection = self._process.connection
        try:
            connection.send(said)
            if not connection.poll(_DEADLINE_S):
                return f"the tracer did not answer within {_DEADLINE_S:.0f} s"
            return connection.recv()
        except (OSError, EOFError) as error:
            return f"the tracer's process has ended: {error or type(error).__name__}"


def _trace(connection: Connection, period_ns: int, tell: _Tell) -> None:
    """Look at what the cell's process tells, until it tells that it was enough."""
    watched: Watched = connection.recv()
    clients = (os.getppid(), *watched.clients)
    reasons: dict[str, str] = {}
    engine = _engine_gauge(watched, reasons)
    gauges: list[Gauge] = [engine] if engine is not None else []
    if watched.endpoint.directory is not None:
        gauges.append(FilesGauge(watched.endpoint.directory))
        gauges.append(ProcessGauge.system(clients, embedded=watched.embedded))
    if watched.members:
        gauges.append(ReplicasGauge(watched.members))
    if watched.volume is not None:
        gauges.append(VolumeGauge(watched.volume))
    if not watched.embedded:
        gauges.append(ProcessGauge.client(clients))
    paced = [PacedGauge(gauge) for gauge in gauges]
    samples = Samples(period_ns)

    def look() -> None:
        at_ns = time.perf_counter_ns()
        values = _read(paced)
        samples.add(at_ns, values)
        tell(at_ns, values)

    begun_cpu_ns = time.process_time_ns()
    tick_ns = time.perf_counter_ns()
    look()
    connection.send("")
    while True:
        tick_ns += period_ns
        late_ns = time.perf_counter_ns() - tick_ns
        if late_ns > 0:
            missed = -(-late_ns // period_ns)
            samples.missed_ticks += missed
            tick_ns += missed * period_ns
        if connection.poll((tick_ns - time.perf_counter_ns()) / _NS_PER_S):
            break
        look()
    connection.recv()
    look()
    if engine is not None:
        engine.close()
    reasons.update({gauge.name: gauge.reason for gauge in paced if gauge.reason})
    connection.send((samples, reasons, time.process_time_ns() - begun_cpu_ns))


def _engine_gauge(watched: Watched, reasons: dict[str, str]) -> EngineGauge | None:
    """Return what asks the system, or None where nothing can, with the reason if it should."""
    if watched.entered is None:
        return None
    try:
        return EngineGauge(watched.connect)
    except DeduplabError as error:
        reasons["engine"] = str(error)
        return None


def _read(gauges: list[PacedGauge]) -> Mapping[str, float]:
    values: dict[str, float] = {}
    for gauge in gauges:
        values |= gauge.read()
    return values
