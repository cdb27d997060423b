"""A port that another process took in between: each real server comes up at another one."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import registry
from deduplab.errors import SystemUnavailable
from deduplab.servers._process import free_port
from tests.faults.cells import SERVERS

pytestmark = pytest.mark.server

# The reference server has the kernel choose its port, so nobody can take it in between.
CHOOSING = [name for name in SERVERS if name != "rest"]


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A socket of ours at a port. It does not listen, so that nobody waits for an answer of it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder


@pytest.mark.parametrize("system", CHOOSING)
def test_a_server_whose_port_is_taken_comes_up_at_another(
    system: str,
    taken: socket.socket,
    new_instance: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    entry = registry.system(system)
    offers = entry.capabilities()
    kind = entry.server_class()
    taken_port = taken.getsockname()[1]
    handed: list[int] = []

    def first_a_taken_one() -> int:
        handed.append(free_port() if handed else taken_port)
        return handed[-1]

    for base in kind.__mro__:
        if hasattr(sys.modules[base.__module__], "free_port"):
            monkeypatch.setattr(sys.modules[base.__module__], "free_port", first_a_taken_one)
    server = kind(
        new_instance(), variant=offers.variant_names()[0], durability=offers.durability[0]
    )
    adapter = entry.adapter_class()()
    try:
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            not_brought_up(system, error)
        assert handed[0] == taken_port
        assert taken_port not in (endpoint.port, *handed[1:])
        adapter.open(endpoint)
        adapter.create(
            "taken-port",
            layout=offers.layouts[0],
            variant=offers.variant_names()[0],
            durability=offers.durability[0],
        )
        assert adapter.count() == 0
    finally:
        adapter.close()
        server.stop()
