"""Where a run is told while it goes on: the sinks that were asked for, and what came of them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console

from deduplab.cli.run_events import as_it_was
from deduplab.config import Plan
from deduplab.errors import OperationFailed, PlanError
from deduplab.sinks import sinks_file
from deduplab.sinks.kafka import KafkaSettings
from deduplab.sinks.outlet import Delivery
from deduplab.sinks.relay_process import RelayProcess, relayed
from deduplab.store import Run

NO_ANSWER: Final = (
    "the process that gives events to the sinks has ended, and does not say what it sent"
)
_SENT_S: Final = 30.0


@contextmanager
def telling(path: Path | None, plan: Plan) -> Iterator[RelayProcess | None]:
    """Have the sinks of a file open, if there is one; with it gone, none.

    Raises
    ------
    PlanError
        If the file is wrong, or a sink is one of the plan's systems: a trace must not be
        written into what is measured.
    SystemUnavailable
        If a sink can't be reached, or its login is refused.
    """
    if path is None:
        yield None
        return
    for settings in sinks_file.load(path):
        if isinstance(settings, KafkaSettings):
            _refuse_measured(settings, plan, path)
    with relayed(path) as relay:
        yield relay


def _refuse_measured(settings: KafkaSettings, plan: Plan, path: Path) -> None:
    brokers = {place for address in settings.address.split(",") for place in _places(address)}
    for system in plan.systems:
        remote = system.remote
        if remote is not None and brokers & _places(f"{remote.host}:{remote.port}"):
            raise PlanError(
                f"{path}: the sink kafka is the system {system.name} of the plan itself: what is "
                "told of a run must not be written into what it measures; name another broker"
            )


def _places(address: str) -> set[tuple[str, int]]:
    """Return all addresses that a name stands for, with the port."""
    host, _, port = address.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, None)}
    except OSError:
        found = {host}
    return {(one, int(port)) for one in found}


def send(run: Run, path: Path, *, as_json: bool) -> None:
    """Send a run that lies in the store to the sinks of a file, and say what came of it.

    Raises
    ------
    PlanError, SystemUnavailable
        If the file is wrong, or a sink can't be used.
    OperationFailed
        If a sink lost something.
    """
    with relayed(path, _SENT_S) as relay:
        for event in as_it_was(run):
            relay.feed.tell(event, _SENT_S)
    deliveries = relay.deliveries
    if as_json:
        click.echo(json.dumps({"sinks": [msgspec.to_builtins(one) for one in deliveries]}))
    else:
        print_deliveries(deliveries, Console())
    lost = [f"{one.sink}: {one.lost} lost: {one.reason}" for one in deliveries if one.lost]
    if not deliveries:
        lost.append(NO_ANSWER)
    if lost:
        raise OperationFailed("; ".join(lost))


def print_deliveries(deliveries: Sequence[Delivery], console: Console) -> None:
    """Say what each sink sent, and what it lost, with the reason."""
    for one in deliveries:
        words = f"sink {one.sink}: {one.sent}"
        if one.lost:
            words += f"; {one.lost} lost of {one.told}"
        if one.reason:
            words += f": {one.reason}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
