"""Which runs, or parts of one, ``deduplab compare`` sets beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deduplab.analysis.comparison import Side
from deduplab.analysis.groups import Group
from deduplab.analysis.pairing import Declared, declared_of
from deduplab.cell import CellResult
from deduplab.errors import PlanError
from deduplab.runs_folder import find_run
from deduplab.store import Run

Sides = tuple[tuple[str, str], Side, Side]
"""A label of either side, and the sides."""


@dataclass(frozen=True, slots=True)
class Within:
    """Two variants, or two volumes, of one run."""

    what: str
    values: tuple[str, str]

    def value(self, group: Group) -> str:
        """Return the variant or volume of a group."""
        cell = group.cells[0].cell
        return cell.variant if self.what == "variant" else cell.volume

    def known_by(self, group: Group) -> Declared:
        """Return what a group is known by where both are one."""
        both = " to ".join(self.values)
        declared = declared_of(group)
        if self.what == "variant":
            return declared._replace(variant=both)
        return declared._replace(volume=both)


@dataclass(frozen=True, slots=True)
class _Part:
    """A run that was read, and which of its systems are asked for."""

    run: Run
    results: Sequence[CellResult]
    only: tuple[str, ...]

    @property
    def label(self) -> str:
        header = self.run.header
        return f"run {header.run_id} of plan {header.plan_name}, {len(self.results)} cells"

    def asked(self, group: Group) -> bool:
        cell = group.cells[0].cell
        return not self.only or bool({cell.system, f"{cell.system}/{cell.variant}"} & {*self.only})


def chosen_within(variants: str, volumes: str) -> Within | None:
    """Read ``--variants`` and ``--volumes``; None where neither is given.

    Raises
    ------
    PlanError
        If both are, or one does not name two.
    """
    if variants and volumes:
        raise PlanError("--variants and --volumes exclude each other")
    if not variants and not volumes:
        return None
    what, text = ("variant", variants) if variants else ("volume", volumes)
    values = [part.strip() for part in text.split(",")]
    if len(values) != 2 or not all(values) or values[0] == values[1]:
        raise PlanError(f"--{what}s takes two names with a comma between, not {text!r}")
    return Within(what, (values[0], values[1]))


def sides_of(
    names: Sequence[str], runs: Path, only: tuple[str, ...], within: Within | None
) -> list[Sides]:
    """Return what is to be set beside what: each further run with the first, or parts of one.

    Raises
    ------
    PlanError
        If the arguments do not say what is to be compared, or name what is not there.
    StoreError
        If a run can't be found or read.
    """
    if within is not None and len(names) != 1:
        raise PlanError(f"--{within.what}s compares within one run; name one")
    if within is None and len(names) < 2:
        raise PlanError(
            "name two runs to compare, or one with --variants or --volumes; "
            "'deduplab list runs' shows them"
        )
    parts = [_opened(find_run(runs, name), only) for name in names]
    if within is not None:
        return [_parted(parts[0], within)]
    first, *others = parts
    for other in others:
        if other.run.root.resolve() == first.run.root.resolve():
            raise PlanError(
                f"{first.run.header.run_id} is named twice, and a run does not differ from itself"
            )
    return [
        (
            (first.label, other.label),
            Side(first.run, first.results, first.asked),
            Side(other.run, other.results, other.asked),
        )
        for other in others
    ]


def _opened(run: Run, only: tuple[str, ...]) -> _Part:
    run = run.read_once()
    run.require_proven()
    results = list(run.cells())
    systems = {cell.cell.system for cell in results}
    variants = {f"{cell.cell.system}/{cell.cell.variant}" for cell in results}
    for name in only:
        if name not in systems | variants:
            known = ", ".join(sorted(systems | variants))
            raise PlanError(f"run {run.header.run_id} has no system {name!r}; there: {known}")
    return _Part(run, results, only)


def _parted(part: _Part, within: Within) -> Sides:
    """Return both sides of a comparison within one run."""
    there = {str(getattr(cell.cell, within.what)) for cell in part.results}
    for value in within.values:
        if value not in there:
            raise PlanError(
                f"run {part.run.header.run_id} has no {within.what} {value!r}; there: "
                f"{', '.join(sorted(there))}"
            )

    def side(value: str) -> Side:
        def asked(group: Group) -> bool:
            return part.asked(group) and within.value(group) == value

        return Side(part.run, part.results, asked, within.known_by)

    first, second = within.values
    labels = (f"{within.what} {first} of {part.label}", f"{within.what} {second} of the same run")
    return labels, side(first), side(second)
