"""What was acknowledged outlives a process that is killed, seen without the adapter."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import registry
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint
from deduplab.testing import distinct_objects
from tests.contract.looks import LOOKS

IN_PROCESS = [
    name
    for name, entry in registry.systems().items()
    if entry.kind != "server" and entry.capabilities().stores_data
]
OBJECTS = distinct_objects(20)

CHILD = """
import os, signal, sys
from pathlib import Path
from deduplab.registry import system
from deduplab.server import Endpoint
from deduplab.testing import batch_of, distinct_objects

adapter = system(sys.argv[1]).adapter_class()()
adapter.open(Endpoint(directory=Path(sys.argv[2])))
offers = adapter.capabilities
adapter.create("killed", layout="blob", variant=offers.variant_names()[0], durability="fsync")
assert adapter.put_many(batch_of(distinct_objects(20))) == 20
adapter.put("alone", b"put alone")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", IN_PROCESS)
def test_acknowledged_objects_outlive_a_kill(
    name: str, tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> None:
    endpoint = Endpoint(directory=tmp_path)
    adapter = registry.system(name).adapter_class()()
    try:
        adapter.open(endpoint)
    except SystemUnavailable as error:
        not_brought_up(name, error)
    finally:
        adapter.close()
    child = subprocess.run(
        [sys.executable, "-c", CHILD, name, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    look = LOOKS[name]
    assert look.count(endpoint, "killed") == 21
    assert look.fetch(endpoint, "killed", "alone") == b"put alone"
    for key, payload in OBJECTS.items():
        assert look.fetch(endpoint, "killed", key) == payload
