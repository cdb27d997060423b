"""The local executor: one cell at a time, each in a fresh process on this machine.

A process of its own gives every cell fresh engine state, survives an engine
that crashes, and lets a deadline be kept. It comes from a fork server that has
the drivers imported already, so it starts within milliseconds.

A run that is killed leaves nothing: the kernel ends the fork server with the run,
the cell's process with the fork server (PR_SET_PDEATHSIG), and a server product
with the cell's process.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

import psutil

from deduplab import pool_directory, registry
from deduplab.bench.runner import Progress, without_measurements
from deduplab.cell import Cell
from deduplab.errors import DiskSpaceError, StoreError, SystemRefused, SystemUnavailable
from deduplab.executors import cell_process, fork_server
from deduplab.executors.cell_process import Message, Order, work
from deduplab.executors.workspace import require_room, sweep
from deduplab.feed import Feed
from deduplab.model import Outcome, OutcomeKind, Stage
from deduplab.store import Run

_TEARDOWN_DEADLINE_S: Final = 20.0
_EXIT_CODE_LOST: Final = 255  # what multiprocessing says where the fork server told none
_NO_FORK_SERVER: Final = "the run's fork server was killed"

_MEANINGS: Final[dict[int, str]] = {
    signal.SIGKILL: ": by somebody, or by the kernel for want of memory (then dmesg says so)",
    signal.SIGBUS: ": a mapped file could not be written, as where its disk is full (see df)",
}


class LocalExecutor:
    """Runs cells of one run in fresh processes below one workspace.

    Parameters
    ----------
    run
        Where cells are committed.
    workspace
        Where instances live while they are measured.
    systems
        Names of the systems whose drivers the fork server imports.
    feed
        Where cells tell marks and samples while they run; None for nowhere.
    """

    def __init__(
        self, run: Run, workspace: Path, systems: tuple[str, ...], feed: Feed | None = None
    ) -> None:
        self._run = run
        self._feed = feed
        self._workspace = workspace
        pool_directory.claim()
        modules = [cell_process.__name__]
        for name in systems:
            entry = registry.system(name)
            modules += [entry.adapter.partition(":")[0], *entry.preload]
        self._context = fork_server.context(modules)

    def execute(self, cell: Cell, attempt: int, progress: Progress) -> Outcome:
        """Run one cell in a fresh process; commit it here if that process could not.

        Raises
        ------
        SystemUnavailable
            If the system could not be reached.
        StoreError
            If the cell could not be written.
        DiskSpaceError
            If the workspace's disk has no room for the cell, before it or, where it did
            not go well, after it: then that is no outcome, and nothing was committed. Or if
            the disk of the results has none.

        When the run is interrupted, the cell's process is ended and nothing committed.
        """
        require_room(self._workspace, cell)
        started = time.time_ns()
        fork_server.ensure_running()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work,
            args=(Order(cell, attempt, self._run.root, self._workspace, self._feed), theirs),
        )
        try:
            process.start()
        except (EOFError, ConnectionError) as error:
            raise SystemUnavailable(f"{_NO_FORK_SERVER} before the cell began") from error
        theirs.close()
        try:
            kind, detail = self._follow(process, ours, cell, progress)
        except BaseException:
            _end(process)
            raise
        finally:
            ours.close()
        process.join()
        if kind in ("died", "late", "unavailable"):
            sweep(self._workspace)  # what that process could not take down
        if kind == "committed":
            assert isinstance(detail, Outcome)
            return detail
        if kind == "refused":
            raise SystemRefused(str(detail))
        if kind == "unavailable":
            raise SystemUnavailable(str(detail))
        if kind == "store":
            raise StoreError(str(detail))
        if kind == "full":
            raise DiskSpaceError(str(detail))
        if cell.cell_id in self._run.committed_ids():
            return self._run.cell(cell.cell_id).outcome  # it died or was late just after that
        require_room(self._workspace, cell)
        outcome = Outcome(OutcomeKind.FAILED, str(detail))
        self._run.commit(without_measurements(cell, outcome, started, attempt), {})
        return outcome

    def _follow(
        self, process: ForkServerProcess, ours: Connection, cell: Cell, progress: Progress
    ) -> tuple[str, object]:
        """Pass stage marks on until the process says how it ended, dies, or is out of time."""
        deadline = time.monotonic() + cell.deadline_s
        doing = "before its first stage"
        while True:
            ready = wait([ours, process.sentinel], timeout=max(0.0, deadline - time.monotonic()))
            if ours in ready:
                try:
                    message: Message = ours.recv()
                except EOFError:
                    return _died(process, doing)
                kind, first, second = message
                if kind != "stage":
                    return kind, first
                assert isinstance(first, int)
                progress.stage_began(first, Stage(str(second)))
                doing = f"in the stage {second}"
            elif process.sentinel in ready:
                return _died(process, doing)
            else:
                _end(process)
                limit = f"not done within {cell.deadline_s:.0f} s"
                return "late", f"{limit}; the cell was ended {doing}"


def _died(process: ForkServerProcess, doing: str) -> tuple[str, str]:
    process.join()
    code = process.exitcode or 0
    if code == _EXIT_CODE_LOST:
        # The kernel ends the cell with the fork server, but a moment later.
        with suppress(psutil.Error):
            psutil.Process(process.pid).wait(_TEARDOWN_DEADLINE_S)
        return "unavailable", f"{_NO_FORK_SERVER} and the cell with it, {doing}"
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return "died", f"the cell's process died {doing} ({how}){_MEANINGS.get(-code, '')}"


def _end(process: ForkServerProcess) -> None:
    """Ask the cell's process to take everything down, then make it."""
    if process.is_alive():
        process.terminate()
        process.join(_TEARDOWN_DEADLINE_S)
    if process.is_alive():
        process.kill()
        process.join()
