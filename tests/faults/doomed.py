"""A system whose server is killed while an operation of one stage is under way."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import psutil

from deduplab.adapter import Adapter
from deduplab.batch import Batch
from deduplab.bench.rig import Rig, bring_up
from deduplab.cell import Cell
from deduplab.model import Stage
from deduplab.record import RecordType, Stored
from deduplab.server import Server

_Result = TypeVar("_Result")

_VERBS: Final = {
    Stage.BULK: ("put_many", 2),
    Stage.INSERT: ("put", 4),
    Stage.READ: ("get", 4),
    Stage.DELETE: ("delete", 1),
    Stage.RECLAIM: ("reclaim", 1),
    Stage.REFILL: ("put_many", 2),
}
"""The operation of a stage that is hit: its verb, and which call of it, counted from 1."""


def kill(server: Server) -> None:
    """Send SIGKILL to all processes of a server."""
    for process in server.processes():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def kill_last_member(server: Server) -> None:
    """Send SIGKILL to the process of a replicated server that was given the last directory."""
    data = str(server.members()[-1].directory)
    for process in server.processes():
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(process)
            if data in found.cmdline():
                found.kill()


class Doom:
    """Kills processes of a server while the chosen operation of a stage runs.

    Parameters
    ----------
    kill
        Kills them; all, unless told otherwise.
    """

    def __init__(self, stage: Stage, kill: Callable[[Server], None] = kill) -> None:
        self.stage = stage
        self.kill = kill
        self.struck = False
        self._now: Stage | None = None
        self._calls = 0

    def notify(self, position: int, stage: Stage) -> None:
        """Be told that a stage begins."""
        self._now = stage
        self._calls = 0

    def strikes(self, verb: str) -> bool:
        """Count a call; tell whether it is the one."""
        if self._now is not self.stage or verb != _VERBS[self.stage][0]:
            return False
        self._calls += 1
        self.struck = self.struck or self._calls == _VERBS[self.stage][1]
        return self._calls == _VERBS[self.stage][1]

    @contextmanager
    def bring_up(
        self, cell: Cell, workspace: Path, record_type: RecordType | None
    ) -> Iterator[Rig]:
        """Bring a real instance up, under an adapter that calls the doom in."""
        with bring_up(cell, workspace, record_type) as rig:
            adapter = cast("Adapter", _Doomed(rig.adapter, self, rig.server))
            yield dataclasses.replace(rig, adapter=adapter)


class _Doomed:
    """Passes everything on; beside the chosen call, a thread kills the server."""

    def __init__(self, inner: Adapter, doom: Doom, server: Server) -> None:
        self._inner = inner
        self._doom = doom
        self._server = server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def put(self, key: str, payload: Stored) -> None:
        self._under_way("put", lambda: self._inner.put(key, payload))

    def put_many(self, batch: Batch) -> int:
        return self._under_way("put_many", lambda: self._inner.put_many(batch))

    def get(self, key: str) -> Stored | None:
        return self._under_way("get", lambda: self._inner.get(key))

    def delete(self, keys: Sequence[str]) -> int:
        return self._under_way("delete", lambda: self._inner.delete(keys))

    def reclaim(self, mode: str) -> None:
        self._under_way("reclaim", lambda: self._inner.reclaim(mode))

    def _under_way(self, verb: str, call: Callable[[], _Result]) -> _Result:
        if not self._doom.strikes(verb):
            return call()
        killer = threading.Thread(target=self._doom.kill, args=(self._server,))
        killer.start()
        try:
            return call()
        finally:
            killer.join()
