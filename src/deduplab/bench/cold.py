"""A cold start: an instance is restarted, and the page cache let go of its files in between.

Dropping goes file by file. It needs no rights and hurts nobody else on the machine, unlike
``/proc/sys/vm/drop_caches``. What was in the page cache is counted before and after, so that
cold is proven and not claimed.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from deduplab.bench import page_cache
from deduplab.bench.proof import InvalidError
from deduplab.bench.rig import Rig
from deduplab.errors import Unsupported
from deduplab.model import ColdStart, Identity
from deduplab.server import Endpoint
from deduplab.units import KIB, format_bytes

_GONE_S: Final = 5.0
_LEFT_BYTES: Final = 64 * KIB
_LEFT_SHARE: Final = 0.01
"""What may be left in the page cache of a cold instance: whichever is more."""


def require_possible(rig: Rig) -> None:
    """Refuse an instance that can't be made cold, before anything is done to it.

    Raises
    ------
    Unsupported
        With the reason.
    """
    directory = rig.endpoint.directory
    if directory is None:
        raise Unsupported(
            "a server that runs already is not ours to restart, and the page cache of its "
            "machine can't be seen from here: its reads are as warm as they are"
        )
    kind = page_cache.file_system_in_memory(directory)
    if kind:
        raise Unsupported(
            f"the instance lies on {kind}, whose files are memory: nothing there can be cold; "
            "name a directory on a disk with --workspace"
        )


def made_cold(
    rig: Rig,
    expected: Identity,
    others: Callable[[Endpoint], None] = lambda endpoint: None,
) -> tuple[ColdStart, Identity]:
    """Restart an instance and drop its pages meanwhile; return how, and its identity from now on.

    Of a replicated system all members are restarted and dropped, whoever of them will be read
    from: that is the product's to choose, and each reads its own files when it starts.

    Parameters
    ----------
    expected
        The instance's identity: until now it must be that, and afterwards that of another run
        of the same instance.
    others
        Has other clients connect to it anew.

    Raises
    ------
    InvalidError
        If another instance answers before or afterwards, or something of it ran on.
    SystemUnavailable
        If it does not come up again.
    """
    directories = rig.directories
    if rig.adapter.identity() != expected:
        raise InvalidError("another instance answers before the planned restart than at the start")
    before_bytes = _resident_bytes(directories)
    processes = _processes(rig)
    dropping_ns = after_bytes = 0

    def while_down() -> None:
        nonlocal dropping_ns, after_bytes
        begun_ns = time.perf_counter_ns()
        _, running = psutil.wait_procs(processes, timeout=_GONE_S)
        if running:
            raise InvalidError(f"the instance was not shut down: process {running[0].pid} runs on")
        for directory in directories:
            page_cache.drop(directory)
        after_bytes = _resident_bytes(directories)
        dropping_ns = time.perf_counter_ns() - begun_ns

    begun_ns = time.perf_counter_ns()
    rig.adapter.close()
    endpoint = rig.server.restart(while_down)
    rig.adapter.open(endpoint)
    restart_ns = time.perf_counter_ns() - begun_ns - dropping_ns
    others(endpoint)
    found = ColdStart(
        restart_ns=restart_ns,
        file_bytes=sum(map(page_cache.file_bytes, directories)),
        resident_before_bytes=before_bytes,
        resident_after_bytes=after_bytes,
        resident_at_read_bytes=_resident_bytes(directories),
    )
    return found, _same_instance(rig.adapter.identity(), expected)


def _resident_bytes(directories: Iterable[Path]) -> int:
    return sum(map(page_cache.resident_bytes, directories))


def _processes(rig: Rig) -> list[psutil.Process]:
    """Return what must have ended when an instance is down.

    An engine in this process is closed and opened again; its process goes on.
    """
    found = []
    for number in () if rig.endpoint.port is None else rig.server.processes():
        with suppress(psutil.NoSuchProcess):  # a worker may end at any time
            found.append(psutil.Process(number))
    return found


def require_dropped(found: ColdStart) -> None:
    """Refuse what stayed in the page cache.

    Raises
    ------
    InvalidError
        If that is more than a few pages.
    """
    left_bytes = found.resident_after_bytes
    if left_bytes > max(_LEFT_BYTES, _LEFT_SHARE * found.file_bytes):
        raise InvalidError(
            f"{format_bytes(left_bytes)} of {format_bytes(found.resident_before_bytes)} stayed in "
            "the page cache though they were dropped: another process has files mapped or locked"
        )


def _same_instance(now: Identity, before: Identity) -> Identity:
    """Return the identity of the new run after a proof that it is one of the same instance."""
    if dataclasses.replace(now, since=before.since) != before:
        raise InvalidError("another instance or configuration answers after the planned restart")
    return now
