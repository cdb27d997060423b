"""An instance is brought up: a keeper is started, and followed until its server answers."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from deduplab.errors import PlanError, SystemUnavailable, unknown_name
from deduplab.lab.instance import Instance, Record, Status
from deduplab.lab.place import Lab
from deduplab.servers._environment import keeper_environment
from deduplab.servers._process import log_tail
from deduplab.system_entry import SystemEntry

_KEEPER: Final = (sys.executable, "-P", "-m", "deduplab.lab.keeper")
_UP_DEADLINE_S: Final = 300.0  # the recipes have their own; this is for a keeper that hangs
_END_DEADLINE_S: Final = 90.0
_POLL_S: Final = 0.1

Progress = Callable[[str], None]


def check_server(entry: SystemEntry) -> None:
    """Refuse a system that is no server.

    Raises
    ------
    PlanError
        With what can be done with it instead.
    """
    if entry.kind != "server":
        raise PlanError(
            f"{entry.name} runs inside the process that uses it: there is no server to bring up or "
            f"to log in to; a plan measures it by [systems.{entry.name}]"
        )


def check_options(entry: SystemEntry, variant: str | None, durability: str | None) -> None:
    """Refuse a variant or a durability that a system does not have; None asks for none.

    Raises
    ------
    PlanError
        With the nearest one.
    """
    offers = entry.capabilities()
    for what, wanted, offered in (
        ("variant", variant, offers.variant_names()),
        ("durability", durability, offers.durability),
    ):
        if wanted is not None and wanted not in offered:
            raise PlanError(unknown_name(f"{what} of {entry.name}", wanted, offered))


def bring_up(
    lab: Lab, entry: SystemEntry, variant: str | None, durability: str | None, progress: Progress
) -> tuple[Record, bool]:
    """Bring one instance up, unless it is up already.

    What is left of one that ended or was lost is removed first.

    Parameters
    ----------
    variant, durability
        Those that it is to have; None for the system's first, or whatever one has that is up.
    progress
        Told in words what happens.

    Returns
    -------
    tuple of Record and bool
        What is up, and whether it came up just now.

    Raises
    ------
    PlanError
        If it is up in another variant or durability.
    SystemUnavailable
        If it can't be brought up, with the product's own words; nothing is left then.
    """
    end = time.monotonic() + _UP_DEADLINE_S
    instance = lab.instance(entry.name)
    while time.monotonic() < end:
        with lab.changing():
            status = instance.status()
            if status in (Status.ENDED, Status.LOST) and not instance.is_held():
                progress(f"removing what is left of an instance that {_told(status)}")
                lab.clean(instance)
                status = None
            if status is None:
                keeper = _start_keeper(lab, entry, variant, durability)
                break
        record = check_running(instance, variant, durability)
        if record is not None:
            return record, False
        progress(f"waiting: another command has it, it is {status}")
        time.sleep(_POLL_S)
    else:
        raise SystemUnavailable(
            f"{entry.name} has been {instance.status()} for {_UP_DEADLINE_S:g} s by another "
            f"command; end it first: deduplab systems down {entry.name}"
        )
    progress("coming up")
    _follow(lab, instance, keeper, end)
    record = instance.record()
    if record is None or record.status is not Status.UP:
        how = record.reason if record and record.reason else "another command takes it down"
        raise SystemUnavailable(f"{entry.name} came up and did not stay: {how}")
    return record, True


def _told(status: Status) -> str:
    return "ended by itself" if status is Status.ENDED else "was lost"


def check_running(instance: Instance, variant: str | None, durability: str | None) -> Record | None:
    """Return the record of an instance that is up; None if it is not.

    Raises
    ------
    PlanError
        If it is up in another variant or durability than is asked for; None asks for none.
    """
    record = instance.record()
    if record is None or instance.status() is not Status.UP:
        return None
    for what, wanted, there in (
        ("variant", variant, record.variant),
        ("durability", durability, record.durability),
    ):
        if wanted not in (None, there):
            raise PlanError(
                f"{record.system} is up with {what} {there!r}, not {wanted!r}; there is one "
                f"instance a system: end it first, with its data, by: "
                f"deduplab systems down {record.system}"
            )
    return record


def _start_keeper(
    lab: Lab, entry: SystemEntry, variant: str | None, durability: str | None
) -> subprocess.Popen[bytes]:
    """Claim the instance's place and start its keeper, to which the lock on it passes."""
    offers = entry.capabilities()
    instance, owner = lab.claim(entry.name)
    words = (variant or offers.variant_names()[0], durability or offers.durability[0])
    with owner, instance.log.open("ab") as log:
        instance.log.chmod(0o600)
        try:
            return subprocess.Popen(
                [*_KEEPER, str(instance.directory), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=instance.directory,
                env=dict(keeper_environment()),
                start_new_session=True,
                pass_fds=(owner.fileno(),),
            )
        except OSError as error:
            instance.remove()
            raise SystemUnavailable(f"no process can be started: {error}") from error


def _follow(lab: Lab, instance: Instance, keeper: subprocess.Popen[bytes], end: float) -> None:
    """Wait until the keeper says that its server is up; leave nothing if it does not."""
    try:
        answer = _answer_of(keeper, end)
        if answer is None:
            reason = f"its keeper has not brought it up after {_UP_DEADLINE_S:g} s"
        elif answer:
            told = json.loads(answer)
            if told["outcome"] == "up":
                return
            reason = told["reason"]
        else:
            code = keeper.wait(_END_DEADLINE_S)
            said = log_tail(instance.log)
            reason = f"its keeper ended with exit code {code}" + (f":\n{said}" if said else "")
        raise SystemUnavailable(f"{instance.system} did not come up: {reason}")
    except BaseException:
        _end(keeper)
        with lab.changing():
            if instance.status() is not None and not instance.is_held():
                lab.clean(instance)
            lab.tidy()
        raise


def _answer_of(keeper: subprocess.Popen[bytes], end: float) -> bytes | None:
    """Return the keeper's line; empty if it ended without one, None if there is none in time."""
    assert keeper.stdout is not None
    with keeper.stdout as output:
        received = b""
        while not received.endswith(b"\n"):
            ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return None
            piece = os.read(output.fileno(), 65536)
            if not piece:
                return b""
            received += piece
        return received


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """Have the keeper stop its server and remove the instance; by force after a deadline."""
    keeper.terminate()
    try:
        keeper.wait(_END_DEADLINE_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
