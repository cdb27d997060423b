"""The remote systems of a plan, entered without measuring: a login, or our namespaces dropped."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from deduplab import registry
from deduplab.bench.rig import bring_up
from deduplab.cell import Cell
from deduplab.model import Identity
from deduplab.remote import RemoteServer
from deduplab.versions import check_version
from deduplab.volumes import NONE

_BLOB = "blob"


def of_remote_systems(cells: Iterable[Cell]) -> list[Cell]:
    """Return one cell for each remote system and placement of a plan."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        if cell.remote is not None:
            found.setdefault((cell.system, cell.bulk.placement), cell)
    return list(found.values())


def log_in(cell: Cell, workspace: Path) -> Identity:
    """Log in to a cell's remote system, and out again; nothing is made there.

    Raises
    ------
    SystemUnavailable
        If it can't be reached, refuses the login, or is of an unknown version.
    PlanError
        If the secret is not where its reference says.
    """
    assert cell.remote is not None
    entry = registry.system(cell.system)
    adapter = entry.adapter_class()()
    server = RemoteServer(cell.remote, workspace, cell.durability)
    try:
        adapter.open(server.start())
        identity = adapter.identity()
    finally:
        adapter.close()
        server.stop()
    check_version(entry.name, identity.version, entry.versions)
    return identity


def drop_namespaces(cell: Cell, workspace: Path) -> None:
    """Drop the lab's namespaces at a cell's remote system, by making them anew and destroying them.

    So they go with the guards of any run: only what bears our marker.

    Raises
    ------
    NamespaceRefused
        If one is there without our marker; it stays.
    SystemUnavailable
        If the system can't be reached or refuses the login.
    """
    if _BLOB in registry.system(cell.system).capabilities().layouts:
        cell = dataclasses.replace(cell, layout=_BLOB)
    with bring_up(dataclasses.replace(cell, volume=NONE), workspace):
        pass
