from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deduplab.adapter import Adapter
from deduplab.server import Endpoint
from tests.unit.bound_scans import switched_off
from tests.unit.reference_stores import Make


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes an adapter in an empty namespace below ``tmp_path``."""
    made: list[Adapter] = []

    def build(kind: type[Adapter]) -> Adapter:
        adapter = kind()
        adapter.open(Endpoint(directory=tmp_path))
        adapter.create("store", layout="blob", variant="default", durability="fsync")
        made.append(adapter)
        return adapter

    yield build
    for adapter in made:
        adapter.close()


@pytest.fixture
def without_library() -> Iterator[None]:
    """Switches the part in C off."""
    with switched_off():
        yield
