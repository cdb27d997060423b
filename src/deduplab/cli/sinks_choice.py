"""Where a run is told while it goes on: the sinks that were asked for, and what came of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from deduplab.config import Plan
from deduplab.errors import PlanError
from deduplab.sinks import sinks_file
from deduplab.sinks.kafka import KafkaSettings
from deduplab.sinks.outlet import Delivery
from deduplab.sinks.relay_process import RelayProcess, relayed


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


def print_deliveries(deliveries: Sequence[Delivery], console: Console) -> None:
    """Say what each sink sent, and what it lost, with the reason."""
    for one in deliveries:
        words = f"sink {one.sink}: {one.sent}"
        if one.lost or one.reason:
            words += f"; {one.lost} lost of {one.told}: {one.reason}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
