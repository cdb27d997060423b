"""What a tracer looks at: each gauge reads some numbers of a system now."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import psutil

from deduplab.adapter import Adapter
from deduplab.bench.storage_io import storage_io
from deduplab.errors import DeduplabError, SystemUnavailable
from deduplab.probes.files import FilesProbe
from deduplab.trace import (
    CLIENT_PREFIX,
    ENGINE_PREFIX,
    FILES_COLUMN,
    REPLICAS_COLUMN,
    SYSTEM_PREFIX,
    VOLUME_COLUMN,
)

_LISTED_EVERY_NS: Final = 1_000_000_000
"""How often it is looked which processes there are, which takes longer than reading them."""
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_ENGINE_SHARE: Final = 0.02
_PROCESSES_SHARE: Final = 0.01
_FILES_SHARE: Final = 0.01
"""The share of a core that a gauge may take: a dear one is read less often than asked."""


class Gauge(Protocol):
    """Reads numbers.

    Attributes
    ----------
    name
        Where they come from.
    share
        The share of a core that reading them may take.
    """

    name: str
    share: float

    def cost_ns(self) -> int:
        """Return a clock that says what a reading took.

        That is the tracer's own CPU time, or, where somebody else works meanwhile, the time that
        passes.
        """
        ...

    def read(self) -> Mapping[str, float]:
        """Return what can be read now, by column; what can't be read now is left out.

        Raises
        ------
        DeduplabError
            If nothing can be read.
        """
        ...


class EngineGauge:
    """The counters that the system tells, over a connection of its own.

    One that is lost is made anew at the next reading: a cold read restarts a server.

    Parameters
    ----------
    connect
        Returns an adapter that is open and watches.
    """

    name = "engine"
    share = _ENGINE_SHARE

    def __init__(self, connect: Callable[[], Adapter]) -> None:
        self._connect = connect
        self._adapter = connect()
        self._is_lost = False
        self._connecting_ns = 0

    def cost_ns(self) -> int:
        """Return the time, for the system works meanwhile; what connecting took is no reading."""
        return time.perf_counter_ns() - self._connecting_ns

    def read(self) -> Mapping[str, float]:
        """Return the adapter's counters."""
        if self._is_lost:
            self._connect_again()
        try:
            found = self._adapter.counters()
        except SystemUnavailable:
            self._is_lost = True
            raise
        return {f"{ENGINE_PREFIX}{name}": value for name, value in found.items()}

    def close(self) -> None:
        """Disconnect."""
        self._adapter.close()

    def _connect_again(self) -> None:
        begun_ns = time.perf_counter_ns()
        try:
            self.close()
            self._adapter = self._connect()
        finally:
            self._connecting_ns += time.perf_counter_ns() - begun_ns
        self._is_lost = False


class FilesGauge:
    """The allocated bytes of the system's files: of the first member, where there are several."""

    name = "files"
    share = _FILES_SHARE
    cost_ns = staticmethod(time.thread_time_ns)

    def __init__(self, directory: Path) -> None:
        self._probe = FilesProbe(directory)

    def read(self) -> Mapping[str, float]:
        """Walk through the files."""
        return {FILES_COLUMN: self._probe.allocated_bytes()}


class ReplicasGauge:
    """The allocated bytes of the files of all members of a replicated system."""

    name = "replicas"
    share = _FILES_SHARE
    cost_ns = staticmethod(time.thread_time_ns)

    def __init__(self, directories: Sequence[Path]) -> None:
        self._probes = [FilesProbe(directory) for directory in directories]

    def read(self) -> Mapping[str, float]:
        """Walk through the files of each."""
        return {REPLICAS_COLUMN: sum(probe.allocated_bytes() for probe in self._probes)}


class VolumeGauge:
    """The used bytes of a file system of the instance's own, by one call and without a sync.

    On btrfs statvfs(3) counts a reserve besides, which the layer VOLUME leaves out.
    """

    name = "volume"
    share = _FILES_SHARE
    cost_ns = staticmethod(time.thread_time_ns)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self) -> Mapping[str, float]:
        """Ask the file system."""
        status = os.statvfs(self._directory)
        return {VOLUME_COLUMN: (status.f_blocks - status.f_bfree) * status.f_frsize}


class ProcessGauge:
    """CPU time, memory and storage traffic of processes (proc(5)).

    CPU time counts in ticks of the kernel, mostly 10 ms. A child that ended and was waited for
    is contained in its parent's.

    Parameters
    ----------
    prefix
        What the columns' names begin with.
    clients
        The processes that drive the system; the first has begun all others.
    alone
        Whether they are read themselves; else all other descendants of the first, without this
        process and its own.
    """

    share = _PROCESSES_SHARE
    cost_ns = staticmethod(time.thread_time_ns)

    def __init__(self, prefix: str, clients: Sequence[int], *, alone: bool) -> None:
        self.name = prefix.rstrip("_")
        self._prefix = prefix
        self._clients = clients
        self._alone = alone
        self._listed: list[int] = [*clients] if alone else []
        self._listed_ns: int | None = None

    @classmethod
    def client(cls, clients: Sequence[int]) -> ProcessGauge:
        """Return that of the processes that drive a system."""
        return cls(CLIENT_PREFIX, clients, alone=True)

    @classmethod
    def system(cls, clients: Sequence[int], *, embedded: bool) -> ProcessGauge:
        """Return that of a system: of the clients if it is embedded there, else of its own."""
        return cls(SYSTEM_PREFIX, clients, alone=embedded)

    def read(self) -> Mapping[str, float]:
        """Sum over the processes; nothing where there is none."""
        if not self._alone:
            self._list()
        read = [one for one in map(_of_process, self._listed) if one is not None]
        if not read:
            return {}
        return {
            f"{self._prefix}{name}": sum(values)
            for name, values in zip(_NAMES, zip(*read, strict=True), strict=True)
            if not math.isnan(sum(values))
        }

    def _list(self) -> None:
        now = time.perf_counter_ns()
        if self._listed_ns is not None and now - self._listed_ns < _LISTED_EVERY_NS:
            return
        self._listed_ns = now
        waiting, found, others = [self._clients[0]], [], {os.getpid(), *self._clients}
        while waiting:
            children = [one for one in _children(waiting.pop()) if one not in others]
            waiting += children
            found += children
        self._listed = found


def _children(process: int) -> list[int]:
    """Return the processes that any thread of a process began; none if it has ended."""
    found: list[int] = []
    try:
        with os.scandir(f"/proc/{process}/task") as tasks:
            for task in tasks:
                found += map(int, Path(task.path, "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        # It ends just now, or the kernel was built without CONFIG_PROC_CHILDREN.
        with suppress(psutil.Error):
            return [one.pid for one in psutil.Process(process).children()]
    return found


_NAMES: Final = ("cpu_ns", "rss_bytes", "read_bytes", "write_bytes")


def _of_process(process: int) -> tuple[float, ...] | None:
    """Return the numbers of one process, None if it has ended; NaN is not told."""
    try:
        # The name, in parentheses, may hold anything; behind it field 3 comes first.
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    cpu_ns = sum(map(int, fields[11:15])) * _TICK_NS  # its own and of children waited for
    rss_bytes = int(fields[21]) * _PAGE_BYTES
    try:
        traffic = storage_io(process)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:
        return cpu_ns, rss_bytes, math.nan, math.nan
    return cpu_ns, rss_bytes, traffic.read_bytes, traffic.written_bytes


class PacedGauge:
    """A gauge that is read at each tick, or less often where that would take too much of a core.

    Attributes
    ----------
    reason
        Why it could not be read the last time that it could not; empty if it always could.
    """

    def __init__(self, gauge: Gauge) -> None:
        self.name = gauge.name
        self.reason = ""
        self._gauge = gauge
        self._due_ns = 0

    def read(self) -> Mapping[str, float]:
        """Return what the gauge reads if it is due, else nothing."""
        if time.perf_counter_ns() < self._due_ns:
            return {}
        begun_ns = self._gauge.cost_ns()
        try:
            return self._gauge.read()
        except (DeduplabError, OSError) as error:
            self.reason = str(error)
            return {}
        finally:
            cost_ns = self._gauge.cost_ns() - begun_ns
            self._due_ns = time.perf_counter_ns() + int(cost_ns * (1 / self._gauge.share - 1))
