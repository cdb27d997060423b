"""Whether a plan could run here and now: everything that would end a run early is tried."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from deduplab import registry
from deduplab.bench import preflight
from deduplab.bench.estimate import estimate
from deduplab.bench.remote_systems import log_in, of_remote_systems
from deduplab.cell import Cell
from deduplab.cli.doctor_command import check
from deduplab.config import Plan
from deduplab.errors import DeduplabError, StoreError, SystemUnavailable
from deduplab.executors.workspace import check_space, prepared
from deduplab.remote import resolve
from deduplab.units import MIB, format_bytes
from deduplab.volumes import NONE, mounted

_VOLUME_BYTES: Final = 512 * MIB


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that a run needs: what was found, or the error that it would end with."""

    name: str
    detail: str
    error: DeduplabError | None = None

    @property
    def ok(self) -> bool:
        """Whether the run would get past it."""
        return self.error is None


def checks(plan: Plan, runs: Path, workspace: Path) -> Iterator[Checked]:
    """Yield what was found of data, secrets, disks, volumes and each system, as it is tried.

    Private systems are brought up and stored to a little, as ``deduplab doctor`` does; remote
    ones are logged in to, and nothing is made there.
    """
    found: list[preflight.Preflight] = []
    yield _tried("data", partial(_data, plan, found))
    if not found:
        return  # there are no cells to ask about
    cells = found[0].cells
    yield _tried("disk", partial(_disk, cells, workspace))
    yield _tried("results", partial(_results, runs))
    references = dict.fromkeys(
        cell.remote.secret for cell in cells if cell.remote and cell.remote.secret
    )
    for reference in references:
        yield _tried("secret", partial(_secret, reference))
    for kind in plan.volumes:
        if kind != NONE:
            yield _tried("volume", partial(_volume, kind, workspace))
    for system in plan.systems:
        if system.remote is None:
            yield _tried(system.name, partial(_private, system.name, workspace))
    for cell in of_remote_systems(cells):
        yield _tried(cell.system, partial(_remote, cell, workspace))


def _tried(name: str, attempt: Callable[[], str]) -> Checked:
    try:
        return Checked(name, attempt())
    except DeduplabError as error:
        return Checked(name, str(error), error)


def _data(plan: Plan, found: list[preflight.Preflight]) -> str:
    found.append(preflight.check(plan))
    left_out = len(found[0].left_out)
    words = f"{len(found[0].cells)} cells"
    return f"{words}, {left_out} of them left out" if left_out else words


def _disk(cells: tuple[Cell, ...], workspace: Path) -> str:
    needed_bytes = estimate(cells).disk_bytes
    check_space(prepared(workspace), needed_bytes)
    free_bytes = shutil.disk_usage(workspace).free
    return f"{format_bytes(needed_bytes)} needed in {workspace}, {format_bytes(free_bytes)} free"


def _results(runs: Path) -> str:
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs) as file:
            file.write(b"x")
    except OSError as error:
        raise StoreError(f"results can't be written to {runs}: {error}") from error
    return f"{runs} can be written"


def _secret(reference: str) -> str:
    return f"{resolve(reference).source} is there"


def _volume(kind: str, workspace: Path) -> str:
    with (
        tempfile.TemporaryDirectory(prefix="deduplab-check-", dir=workspace) as directory,
        mounted(kind, _VOLUME_BYTES, Path(directory)),
    ):
        return f"{kind} can be made and mounted"


def _private(name: str, workspace: Path) -> str:
    found = check(registry.system(name), workspace)
    if found.status != "ready":
        raise SystemUnavailable(f"{found.status}: {found.reason}")
    return f"ready: {found.version}"


def _remote(cell: Cell, workspace: Path) -> str:
    identity = log_in(cell, workspace)
    return f"logged in: {identity.product} {identity.version}"
