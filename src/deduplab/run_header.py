"""The header of a run: what it is made of, known before its first cell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deduplab.cell import Cell
from deduplab.errors import StoreError
from deduplab.run_files import decoded

FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """What a planned cell is, so that one that was not run can be counted too.

    ``settings`` tell it from other cells of the run where its name does not, as an event has it.
    """

    cell_id: str
    system: str
    variant: str
    payload: str
    stages: tuple[str, ...]
    settings: str = ""

    @classmethod
    def of(cls, cell: Cell, settings: str = "") -> PlannedCell:
        """Return what is kept of a cell."""
        stages = tuple(stage.value for stage in cell.stages)
        return cls(cell.cell_id, cell.system, cell.variant, cell.bulk.payload, stages, settings)


@dataclass(frozen=True, slots=True)
class _Version:
    """What can be read of a header of any version."""

    format_version: int | None = None


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a run is: written once, before its first cell.

    ``plan_digest`` identifies the resolved plan with its scale; ``cell_ids``
    are the planned cells in execution order; ``planned`` says of each what it
    is (empty in runs of an older deduplab). ``environment`` is what
    ``bench.environment`` recorded of the host; ``only`` names the systems that
    the plan was cut down to, none if it was not. ``scale`` is a whole number, or
    a fraction as text (``1/1000``). ``taken_over`` says of each cell that the run
    began with in which run it was measured, ``not_taken_over`` of the others why it
    did not begin with them; both are empty where that was not asked for.
    """

    run_id: str
    plan_name: str
    plan_digest: str
    scale: int | str
    created_unix_ns: int
    cell_ids: tuple[str, ...]
    environment: dict[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    planned: tuple[PlannedCell, ...] = ()
    taken_over: dict[str, str] = field(default_factory=dict)
    not_taken_over: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def settings(self) -> dict[str, str]:
        """Return of each cell, by id, what tells it from others of its name."""
        return {one.cell_id: one.settings for one in self.planned}

    def command(self, plan: Path) -> str:
        """Word the command that runs the same cells; the run keeps its plan as ``plan.toml``."""
        words = ["deduplab run", shlex.quote(str(plan))]
        if self.scale != 1:
            words.append(f"--scale {self.scale}")
        if self.only:
            words.append(f"--only {','.join(self.only)}")
        return " ".join(words)


def read_header(root: Path) -> RunHeader:
    """Return the header of the run that lies in a directory.

    Raises
    ------
    StoreError
        If it is not a run, or of another format version.
    """
    path = root / "run.json"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{root} is not a run: {error}") from error
    version = decoded(raw, _Version, path).format_version
    if version != FORMAT_VERSION:
        raise StoreError(
            f"{path} has format version {version}, this deduplab reads {FORMAT_VERSION}; "
            "use the deduplab that wrote it"
        )
    return decoded(raw, RunHeader, path)
