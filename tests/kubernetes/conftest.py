from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab.errors import SystemUnavailable
from tests.kubernetes.control_plane import ControlPlane, until
from tests.kubernetes.lab import Lab
from tests.kubernetes.programs import NotThere, find

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> Iterator[ControlPlane]:
    """One control plane for all tests; each has a namespace of its own in it."""
    with tempfile.TemporaryDirectory(prefix="deduplab-control-plane-") as directory:
        try:
            plane = ControlPlane(find(), Path(directory))
        except NotThere as error:
            not_brought_up("kubernetes", error)
        up = plane.up()
        try:
            running = up.__enter__()
        except SystemUnavailable as error:
            not_brought_up("kubernetes", error)
        try:
            yield running
        finally:
            up.__exit__(None, None, None)


@pytest.fixture
def lab(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Lab]:
    """A namespace that is empty; its deletion is begun at the end."""
    name = f"lab-{next(_NUMBERS)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    control_plane.request("POST", "/api/v1/namespaces", body)
    accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
    until(lambda: control_plane.request("GET", accounts)["items"], f"an account in {name}")
    yield Lab(control_plane, name, tmp_path)
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")
