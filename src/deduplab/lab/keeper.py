"""The keeper: the process that owns one server of the lab, since a server dies with its owner.

It is started by ``deduplab systems up`` in a session of its own, with the lock on the
owner file in its hands. It starts the server in its main thread (on whose life the
server's hangs), says on standard output how that went, and then sleeps until the server
ends or it is told to end by SIGTERM or SIGINT. Then it stops the server in order and
removes the instance. If the server ends by itself, it writes down how, and goes: the
data stays until it is taken down.
"""

from __future__ import annotations

import dataclasses
import json
import os
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, Literal

from deduplab import registry
from deduplab.errors import DeduplabError
from deduplab.interrupts import raised_again
from deduplab.lab.instance import Instance, Record, Status
from deduplab.lab.process_id import ProcessId
from deduplab.server import Endpoint, Server
from deduplab.servers._account import make_passable
from deduplab.servers._private_server import write_private

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOOK_EVERY_S: Final = 30.0  # its end wakes us; this is for what is not our child


class _StoppedError(BaseException):
    """We were told to end.

    No ``Exception``, so that nothing on the way takes it for a failed start.
    """


class Keeper:
    """Keeps one server up.

    Parameters
    ----------
    instance
        Its directory, empty but for the owner file, whose lock this process holds. It is
        also where this process stands.
    variant, durability
        As the recipe takes them.
    """

    def __init__(self, instance: Instance, variant: str, durability: str) -> None:
        self._instance = instance
        self._entry = registry.system(instance.system)
        self._server: Server | None = None
        self._record = Record(
            system=instance.system,
            variant=variant,
            durability=durability,
            status=Status.STARTING,
            keeper=ProcessId.own(),
            since_unix_ns=time.time_ns(),
        )

    def keep(self) -> int:
        """Start the server and keep it; return the exit code when there is nothing to keep."""
        failure = ""
        try:
            self._enter(Status.STARTING)
            with raised_again(_StoppedError):
                self._start()
                say("up")
                reason = self._wait_for_its_end()
            self._enter(Status.ENDED, reason=reason)
            self._stop()
        except _StoppedError:
            pass
        except DeduplabError as error:
            failure = str(error)
        except Exception as error:  # whatever a recipe or a driver raises is told, not lost
            traceback.print_exc()
            failure = f"{self._entry.name} failed: {type(error).__name__}: {error}"
        else:
            return 0
        _ignore_signals()
        with suppress(OSError):  # a full disk is no reason to leave anything
            self._enter(Status.STOPPING)
        self._stop()
        if self._is_there():
            self._instance.remove()
        if failure:
            say("failed", failure)
        return 1 if failure else 0

    def _start(self) -> None:
        record, workspace = self._record, self._instance.workspace
        make_passable(workspace)
        self._server = self._entry.server_class()(
            workspace, variant=record.variant, durability=record.durability
        )
        endpoint = self._server.start()
        secret = endpoint.secret.reveal() if endpoint.secret else ""
        write_private(self._instance.secret_file, f"{secret}\n")
        identities = map(ProcessId.of, self._server.processes())
        self._enter(
            Status.UP,
            processes=tuple(found for found in identities if found),
            version=_version(self._entry, endpoint),
            host=endpoint.host or "",
            port=endpoint.port or 0,
            user=endpoint.user,
            database=endpoint.database,
            options=dict(endpoint.options),
            directory=str(endpoint.directory or ""),
        )

    def _wait_for_its_end(self) -> str:
        """Return how the server ended though nobody stopped it, when it has.

        Raises
        ------
        _StoppedError
            If the directory is gone: there is nothing to keep then.
        """
        assert self._server is not None
        awake, wake = os.pipe()
        for end in (awake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _child_ended)
        while self._is_there():
            reason = self._server.ended()
            if reason is not None:
                return reason
            if not self._server.processes():
                return f"no process of {self._entry.name} is left"
            select.select([awake], [], [], _LOOK_EVERY_S)
            with suppress(BlockingIOError):
                os.read(awake, 4096)
        raise _StoppedError

    def _enter(self, status: Status, **found: object) -> None:
        """Write down that another state begins, and what is known since."""
        if not self._is_there():
            return
        self._record = dataclasses.replace(
            self._record,
            status=status,
            since_unix_ns=time.time_ns(),
            **found,  # type: ignore[arg-type]  # fields of the record
        )
        self._instance.write(self._record)

    def _is_there(self) -> bool:
        """Whether the directory is still the one that we were given.

        A person may remove it by hand, and bring another one up in its place.
        """
        try:
            return self._instance.directory.samefile(Path())
        except FileNotFoundError:
            return False

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()


def say(outcome: Literal["up", "failed"], reason: str = "") -> None:
    """Tell whoever started us, and let go of standard output: nobody waits for its end."""
    words = json.dumps({"outcome": outcome, "reason": reason}) + "\n"
    with suppress(BrokenPipeError):  # it has gone; the record says the same
        os.write(sys.stdout.fileno(), words.encode())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _version(entry: registry.SystemEntry, endpoint: Endpoint) -> str:
    """Return what the system says of its version; empty if it can't be asked."""
    adapter = entry.adapter_class()()
    try:
        adapter.open(endpoint)
        return adapter.identity().version
    except DeduplabError as error:
        print(f"the version is not known: {error}", file=sys.stderr)  # noqa: T201 - our log
        return ""
    finally:
        adapter.close()


def _ignore_signals() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _told_to_end(signal_number: int, frame: FrameType | None) -> None:
    _ignore_signals()
    raise _StoppedError


def _child_ended(signal_number: int, frame: FrameType | None) -> None:
    """Do nothing: that it came is what wakes us."""


def main() -> int:
    """Keep the instance that the arguments name: its directory, variant and durability."""
    directory, variant, durability = sys.argv[1:]
    for number in _ENDING:
        signal.signal(number, _told_to_end)
    try:
        return Keeper(Instance(Path(directory)), variant, durability).keep()
    except _StoppedError:  # before there was anything to stop
        return 0


if __name__ == "__main__":
    sys.exit(main())
