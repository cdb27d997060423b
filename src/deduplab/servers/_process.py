"""A product's process as our child: spawned, waited for, named and ended with deadlines.

The child runs in a session of its own, so that Ctrl-C in the terminal reaches
us alone, and asks the kernel (``PR_SET_PDEATHSIG``, by util-linux ``setpriv``)
for a signal when the thread that spawned it ends. So a server does not outlive
an owner that was killed. Spawn it from a thread that lives as long as it
should: the main thread.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, TypeVar

import psutil

from deduplab.errors import SystemUnavailable
from deduplab.servers._account import Account
from deduplab.servers._environment import server_environment

_PORT_ATTEMPTS: Final = 5

_T = TypeVar("_T")

_POLL_S = 0.01
_ENDING_S = 1.0
_TAIL_BYTES = 4096


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now; another process may still take it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def started_on_a_free_port(start: Callable[[], _T], is_taken: Callable[[], bool]) -> _T:
    """Start a server, and again with another port where another process took the first one.

    Between the look for a free port and the bind that may happen; five times are tried.

    Parameters
    ----------
    start
        Looks for free ports and starts the server there; raises SystemUnavailable if it
        does not come up.
    is_taken
        Tells, after that, whether a port was the reason: products say so in their logs.

    Raises
    ------
    SystemUnavailable
        If it does not come up for another reason, or not in five attempts.
    """
    for _ in range(_PORT_ATTEMPTS - 1):
        try:
            return start()
        except SystemUnavailable:
            if not is_taken():
                raise
    return start()


def log_tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log, for an error message; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class ChildProcess:
    """One child process and everything below it.

    Parameters
    ----------
    name
        The product, for messages.
    argv
        Program and arguments; never a secret, other users can read them.
    log
        File that takes the child's output and errors, appended to.
    account
        Account to run under; None stays what we are.
    environment
        All that the child is told; None is :func:`server_environment`.
    death_signal
        Name of the signal that the child gets when we are killed (``QUIT``, ``KILL``, ...).
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        death_signal: str = "KILL",
    ) -> None:
        self.name = name
        self.log = log
        self._family: dict[int, psutil.Process] = {}
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", death_signal, "--"] if setpriv else []
        with log.open("ab") as output:
            self._popen = self._spawn([*prefix, *argv], output, account, environment, directory)

    def _spawn(
        self,
        argv: Sequence[str],
        output: IO[bytes],
        account: Account | None,
        environment: Mapping[str, str] | None,
        directory: Path | None,
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(server_environment() if environment is None else environment),
                cwd=directory,
                start_new_session=True,
                **(account.popen_arguments() if account else {}),
            )
        except OSError as error:
            raise SystemUnavailable(f"{self.name} can't be started: {error}") from error

    @property
    def pid(self) -> int:
        """The id of the child itself."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the child has not ended yet."""
        return self._popen.poll() is None

    def wait(self, *, deadline_s: float) -> int:
        """Wait for the child's end and return its exit code.

        Raises
        ------
        SystemUnavailable
            If it has not ended by the deadline.
        """
        try:
            return self._popen.wait(timeout=deadline_s)
        except subprocess.TimeoutExpired as error:
            raise SystemUnavailable(
                f"{self.name} has not ended after {deadline_s:g} s; its log {self.log} ends:\n"
                f"{log_tail(self.log)}"
            ) from error

    def wait_ready(self, ready: Callable[[], bool], *, deadline_s: float) -> None:
        """Ask ``ready`` until it says yes.

        Raises
        ------
        SystemUnavailable
            If the child ends or the deadline passes first, with the end of its log.
        """
        end = time.monotonic() + deadline_s
        while not ready():
            try:
                code = self._popen.wait(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < end:
                    continue
                reason = f"does not answer after {deadline_s:g} s"
            else:
                reason = f"ended with exit code {code} before it answered"
            raise SystemUnavailable(
                f"{self.name} {reason}; its log {self.log} ends:\n{log_tail(self.log)}"
            )

    def ended(self) -> str | None:
        """Return how the child ended, or None if it runs.

        A process that is killed closes its connections a moment before it is gone,
        so whoever asks because a connection broke has to wait that moment.
        """
        try:
            code = self._popen.wait(timeout=_ENDING_S)
        except subprocess.TimeoutExpired:
            return None
        if code == -signal.SIGKILL:
            return (
                f"{self.name} was killed by SIGKILL, by somebody or by the kernel for want of "
                "memory (then dmesg says so)"
            )
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{self.name} ended ({how}); its log {self.log} ends:\n{log_tail(self.log, 6)}"

    def process_ids(self) -> tuple[int, ...]:
        """Return the ids of the child and all processes below it, now; empty when it has ended."""
        if not self.running:
            return ()
        try:
            root = psutil.Process(self.pid)
            found = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return ()
        self._family.update({process.pid: process for process in found})
        return tuple(process.pid for process in found)

    def stop(self, steps: Sequence[tuple[signal.Signals, float]]) -> None:
        """Send each signal and wait its seconds for the end; then force; safe to call twice.

        What the child started ends with it: whatever is left of it is killed.
        """
        self.process_ids()
        for number, seconds in steps:
            if not self.running:
                break
            self._popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout=seconds)
        self.process_ids()
        if self.running:
            self._popen.kill()
            self._popen.wait(timeout=30)
        self._end_family()

    def _end_family(self) -> None:
        _, alive = psutil.wait_procs(list(self._family.values()), timeout=1)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        self._family.clear()
