"""Shards scanned by several processes: this one, and others from a fork server.

Each takes the next shard when it is done with one. This process takes part, so
nothing is lost while the others start. The sketches are merged in the shards'
order, so that who scanned what does not show.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.sharedctypes import Synchronized, SynchronizedArray
from typing import Final

from deduplab import pool_directory
from deduplab.bound.scan import Progress
from deduplab.bound.settings import ScanSettings
from deduplab.bound.shards import Shards
from deduplab.bound.share import ENDED_EARLY, Share
from deduplab.bound.sketch import Sketch
from deduplab.bound.sketch_file import from_bytes, to_bytes
from deduplab.bound.stream import Source
from deduplab.errors import OperationFailed

_POLL_S: Final = 0.1

_Share = Future[list[tuple[int, bytes]]]

_work: _Work | None = None
"""In a process of the pool: what there is to do."""


class _Stopped(Exception):
    """Another process has failed or was interrupted: what this one does is of no use."""


@dataclass(slots=True)
class _Work:
    """All shards, which of them are taken, and what other processes have scanned."""

    shards: Shards
    settings: ScanSettings
    taken: SynchronizedArray[int]
    begun: Synchronized[int]
    stopped: Synchronized[int]
    scanned_bytes: Synchronized[int]

    def begin(self) -> int:
        """Return the number of a process that begins, from 0 on."""
        with self.begun.get_lock():
            self.begun.value += 1
            return self.begun.value - 1

    def take(self, number: int) -> int | None:
        """Return the place of a shard that is now the process's, or None if none is left."""
        with self.taken.get_lock():
            for place in self.shards.order(number):
                if not self.taken[place] and not self.stopped.value:
                    self.taken[place] = 1
                    return place
        return None

    def stop(self) -> None:
        """Let all processes end at their next block."""
        self.stopped.value = 1

    def check(self) -> None:
        """Raise if there is nothing to go on for."""
        if self.stopped.value:
            raise _Stopped

    def count(self, scanned_bytes: int) -> None:
        """Count what this process, one of the pool, has scanned."""
        self.check()
        with self.scanned_bytes.get_lock():
            self.scanned_bytes.value += scanned_bytes


def scan_in_processes(
    sources: Sequence[Source],
    settings: ScanSettings,
    processes: int,
    progress: Progress | None,
) -> list[Sketch]:
    """Scan sources by several processes, and return the sketches of the shards, in their order.

    Raises
    ------
    OperationFailed
        If a process ends early.
    """
    context = multiprocessing.get_context("forkserver")
    if processes > 1:
        context.set_forkserver_preload([__name__, "lz4.block", "pyfastcdc", "zstandard"])
        pool_directory.claim()
        forkserver.ensure_running()  # it starts while the sources are divided
    shards = Shards(sources, processes)
    others = shards.processes - 1
    work = _Work(
        shards,
        settings,
        taken=context.Array("b", len(shards.all)),
        begun=context.Value("q", 0),
        stopped=context.Value("b", 0),
        scanned_bytes=context.Value("q", 0),
    )
    teller = _Teller(work, progress)
    if not others:
        return [sketch for _, sketch in sorted(_own_share(work, teller).items())]
    pool = ProcessPoolExecutor(others, mp_context=context, initializer=_begin, initargs=(work,))
    starter = ThreadPoolExecutor(1, thread_name_prefix="deduplab-scan")
    try:
        # By a thread: handing over waits until the fork server has imported what they need.
        starting = starter.submit(_submitted, pool, others)
        try:
            found = _own_share(work, teller)
        except _Stopped:
            found = {}
        futures = starting.result()
        # If another process has failed, this raises what it failed of.
        _wait(futures, teller)
        for future in futures:
            found.update(
                (place, from_bytes(content, "a shard's sketch"))
                for place, content in future.result()
            )
        return [found[place] for place in sorted(found)]
    except BrokenProcessPool as error:
        raise OperationFailed(ENDED_EARLY) from error
    finally:
        work.stop()
        starter.shutdown(wait=True)
        pool.shutdown(wait=True, cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, count: int) -> list[_Share]:
    return [pool.submit(_share) for _ in range(count)]


class _Teller:
    """Passes on what was scanned: by this process at once, by others when it is looked at."""

    def __init__(self, work: _Work, progress: Progress | None) -> None:
        self._work = work
        self._progress = progress
        self._told_bytes = 0

    def __call__(self, own_bytes: int) -> None:
        self._work.check()
        self.tell(own_bytes)

    def tell(self, own_bytes: int = 0) -> None:
        """Pass on what was scanned, also when the work has ended."""
        if self._progress is None:
            return
        others_bytes = self._work.scanned_bytes.value
        news_bytes = own_bytes + others_bytes - self._told_bytes
        self._told_bytes = others_bytes
        if news_bytes:
            self._progress(news_bytes)


def _own_share(work: _Work, tell: Callable[[int], None]) -> dict[int, Sketch]:
    """Scan shards in this process until none is left."""
    number = work.begin()
    share = Share(work.shards.all, work.settings)
    share.scan(lambda: work.take(number), tell)
    share.compress()
    return share.sketches()


def _begin(work: _Work) -> None:
    global _work
    _work = work


def _share() -> list[tuple[int, bytes]]:
    """Scan shards in a process of the pool until none is left."""
    work = _work
    assert work is not None
    try:
        found = _own_share(work, work.count)
    except _Stopped:
        return []
    except BaseException:
        work.stop()
        raise
    return [(place, to_bytes(sketch)) for place, sketch in found.items()]


def _wait(futures: Sequence[_Share], teller: _Teller) -> None:
    """Wait until all are done or one has failed; pass on what was scanned meanwhile."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        teller.tell()
