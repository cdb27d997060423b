"""Census: every stage of every planned cell, by how it ended, or why it was not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from deduplab.cell import CellResult
from deduplab.model import OK, Measurement, Outcome, OutcomeKind, Stage
from deduplab.store import PlannedCell, Run

NOT_RUN: Final = "not run"
KINDS: Final = (*(kind.value for kind in OutcomeKind), NOT_RUN)
"""How a stage or a cell may have ended, the good first."""

_NOT_REACHED: Final = (
    "not reached yet: the run goes on or was ended before; the same command goes on with it"
)
_CHAIN_ENDED: Final = "an earlier stage of the same cell did not count, which ended the cell"
_End = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Count:
    """How many were planned, and how many ended how (every one of ``KINDS``)."""

    planned: int
    ended: dict[str, int]

    @property
    def ok(self) -> int:
        """How many count."""
        return self.ended[OutcomeKind.OK.value]

    @property
    def worst(self) -> str:
        """The kind that needs a look first: FAILED, INVALID, not run, UNSUPPORTED, else OK."""
        order = ("FAILED", "INVALID", NOT_RUN, "UNSUPPORTED")
        return next((kind for kind in order if self.ended[kind]), OutcomeKind.OK.value)

    @property
    def words(self) -> str:
        """The kinds that occur, with their numbers: ``756 OK, 108 not run``."""
        return ", ".join(f"{n} {kind}" for kind, n in self.ended.items() if n) or "none"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why stages of systems do not count or were not run; ``cells`` are those they belong to."""

    systems: tuple[str, ...]
    kind: str
    reason: str
    cells: int
    stages: int


@dataclass(frozen=True, slots=True)
class Census:
    """What was planned and what became of it.

    ``systems`` are named with their variant where several of them are in the plan;
    ``boxes`` has the stages of each pair (payload, system) that was planned.
    ``set_aside`` is how many results were set aside, so that their cells are measured anew;
    ``taken_over`` how many cells were measured in which other run, by its id.
    ``blocks`` are the sets of cells that are compared (one payload, one repetition), and in
    ``mixed_blocks`` of them are cells of several runs.
    """

    cells: Count
    stages: Count
    systems: tuple[str, ...]
    payloads: tuple[str, ...]
    cells_by_system: dict[str, Count]
    stages_by_system: dict[str, Count]
    boxes: dict[tuple[str, str], Count]
    reasons: tuple[Reason, ...]
    set_aside: int = 0
    taken_over: dict[str, int] = field(default_factory=dict)
    blocks: int = 0
    mixed_blocks: int = 0

    @property
    def remarks(self) -> tuple[str, ...]:
        """What readers should know of how results came to be here, in sentences."""
        elsewhere = ", ".join(f"{n} in run {run_id}" for run_id, n in self.taken_over.items())
        words = f"{self.cells.planned} cells were not measured in this run (--reuse): {elsewhere}"
        taken = f"{sum(self.taken_over.values())} of {words}" if self.taken_over else ""
        return tuple(filter(None, (taken, self._mixed_words, self._set_aside_words)))

    @property
    def _mixed_words(self) -> str:
        if not self.mixed_blocks:
            return ""
        return (
            f"in {self.mixed_blocks} of {self.blocks} sets of compared cells (one payload, one "
            "repetition) are cells of several runs: what changed on the machine between those "
            "runs would look like a difference of what is compared"
        )

    @property
    def _set_aside_words(self) -> str:
        if not self.set_aside:
            return ""
        what = "1 result was" if self.set_aside == 1 else f"{self.set_aside} results were"
        return (
            f"{what} set aside by run --again, to have what did not count measured anew; "
            "what they were lies in set_aside, and is in no figure"
        )

    @property
    def reasons_by_kind(self) -> tuple[tuple[Reason, ...], ...]:
        """The reasons, together where they are of one kind and of the same systems.

        The one of most cells comes first. Reasons name instances and keys, so hundreds of
        them may tell the same thing, and would hide those of other systems.
        """
        found: dict[tuple[str, tuple[str, ...]], list[Reason]] = {}
        for one in self.reasons:
            found.setdefault((one.kind, one.systems), []).append(one)
        return tuple(tuple(sorted(alike, key=lambda one: -one.cells)) for alike in found.values())

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, with the matrix as one entry a payload and system."""
        return {
            "cells": _told(self.cells),
            "stages": _told(self.stages),
            "set_aside": self.set_aside,
            "taken_over": self.taken_over,
            "blocks": self.blocks,
            "mixed_blocks": self.mixed_blocks,
            "systems": {
                name: {"cells": _told(self.cells_by_system[name]), "stages": _told(count)}
                for name, count in self.stages_by_system.items()
            },
            "matrix": [
                {"payload": payload, "system": system, **_told(count)}
                for (payload, system), count in self.boxes.items()
            ],
            "reasons": [
                {
                    "systems": list(one.systems),
                    "outcome": one.kind,
                    "cells": one.cells,
                    "stages": one.stages,
                    "reason": one.reason,
                }
                for one in self.reasons
            ],
        }


def census_of(run: Run) -> Census:
    """Return the census of a run, from all its committed cells."""
    return census(run, run.cells())


def census(run: Run, results: Iterable[CellResult]) -> Census:
    """Count every stage of every planned cell.

    Parameters
    ----------
    results
        The committed cells.
    """
    header, not_run = run.header, run.not_run()
    found = {result.cell.cell_id: result for result in results}
    planned = {one.cell_id: one for one in header.planned}
    for cell_id, result in found.items():
        planned.setdefault(cell_id, PlannedCell.of(result.cell))
    counter = _Counter(planned.values())
    for cell_id, cell in planned.items():
        ended = found.get(cell_id)
        ends = _ends(cell, ended, not_run.get(cell_id, _NOT_REACHED))
        counter.add(cell, ended.outcome.kind.value if ended else NOT_RUN, ends)
    unknown = len(set(header.cell_ids) - set(planned))
    taken_over = run.taken_over
    origins: dict[tuple[str, int], set[str]] = {}
    for cell_id, result in found.items():
        block = (result.cell.bulk.payload, result.cell.repetition)
        origins.setdefault(block, set()).add(taken_over.get(cell_id, header.run_id))
    return replace(
        counter.census(unknown),
        set_aside=len(run.set_aside_ids()),
        taken_over=dict(sorted(Counter(taken_over.values()).items())),
        blocks=len(origins),
        mixed_blocks=sum(len(runs) > 1 for runs in origins.values()),
    )


class _Counter:
    """Counts stages and cells as they are told."""

    def __init__(self, planned: Iterable[PlannedCell]) -> None:
        variants: dict[str, set[str]] = {}
        for cell in planned:
            variants.setdefault(cell.system, set()).add(cell.variant)
        self._with_variant = {name for name, found in variants.items() if len(found) > 1}
        self._cells: dict[str, Counter[str]] = {}
        self._boxes: dict[tuple[str, str], Counter[str]] = {}
        self._reasons: dict[_End, Reason] = {}

    def add(self, cell: PlannedCell, outcome: str, ends: list[_End]) -> None:
        """Count one cell with how it ended as a whole, and its stages."""
        several = cell.system in self._with_variant
        system = f"{cell.system}/{cell.variant}" if several else cell.system
        box = self._boxes.setdefault((cell.payload, system), Counter())
        box.update(kind for kind, _ in ends)
        self._cells.setdefault(system, Counter())[outcome] += 1
        for kind, reason in dict.fromkeys(ends):
            if kind != OutcomeKind.OK:
                before = self._reasons.get((kind, reason), Reason((), kind, reason, 0, 0))
                self._reasons[kind, reason] = Reason(
                    systems=tuple(sorted({*before.systems, system})),
                    kind=kind,
                    reason=reason,
                    cells=before.cells + 1,
                    stages=before.stages + ends.count((kind, reason)),
                )

    def census(self, unknown: int) -> Census:
        """Return what was counted; ``unknown`` cells were planned, but nothing is known of them."""
        systems = tuple(sorted(self._cells))
        by_system = {
            name: sum((box for (_, of), box in self._boxes.items() if of == name), Counter())
            for name in systems
        }
        cells = sum(self._cells.values(), Counter({NOT_RUN: unknown}))
        order = {kind: number for number, kind in enumerate(("FAILED", "INVALID", NOT_RUN))}
        return Census(
            cells=_count(cells),
            stages=_count(sum(by_system.values(), Counter())),
            systems=systems,
            payloads=tuple(sorted({payload for payload, _ in self._boxes})),
            cells_by_system={name: _count(self._cells[name]) for name in systems},
            stages_by_system={name: _count(box) for name, box in by_system.items()},
            boxes={pair: _count(box) for pair, box in sorted(self._boxes.items())},
            reasons=tuple(
                sorted(
                    self._reasons.values(),
                    key=lambda one: (order.get(one.kind, len(order)), one.systems, one.reason),
                )
            ),
        )


def _ends(cell: PlannedCell, result: CellResult | None, why_not: str) -> list[_End]:
    """Return how each stage of a planned cell ended, with the reason."""
    if result is None:
        return [(NOT_RUN, why_not)] * len(cell.stages)
    told = any(not entry.outcome.ok for entry in result.measurements)
    if not result.measurements or not (result.outcome.ok or told):
        # It ended outside its stages: before the first, at the end, or with its process.
        return [(result.outcome.kind.value, result.outcome.reason)] * len(cell.stages)
    return [
        (NOT_RUN, _CHAIN_ENDED) if outcome is None else (outcome.kind.value, outcome.reason)
        for outcome in _stages(result)
    ]


def _stages(result: CellResult) -> Iterator[Outcome | None]:
    """Yield the outcome of each stage of the chain; None for those that were not come to.

    A stage that has several measurements (maintenance after a delete, one a mode)
    counts if all of them do.
    """
    left = list(result.measurements)
    for number, stage in enumerate(result.cell.stages):
        mine = _taken(left, stage, result.cell.stages[number + 1 :])
        if not mine:
            yield None
            continue
        bad = [entry.outcome for entry in mine if not entry.outcome.ok]
        serious = [one for one in bad if one.kind is not OutcomeKind.UNSUPPORTED]
        # One mode that a system does not have is no fault where another one was run.
        yield serious[0] if serious else bad[0] if len(bad) == len(mine) else OK


def _taken(
    left: list[Measurement], stage: Stage, following: tuple[Stage, ...]
) -> list[Measurement]:
    """Take the measurements of a stage off the front of those that are left."""
    most = 1
    if stage is Stage.RECLAIM:
        run = next((n for n, entry in enumerate(left) if entry.stage is not stage), len(left))
        behind = next((n for n, one in enumerate(following) if one is not stage), len(following))
        most = max(1, run - behind)  # where maintenance stands twice in a row, the first takes more
    mine = [entry for entry in left[:most] if entry.stage is stage]
    del left[: len(mine)]
    return mine


def _count(kinds: Counter[str]) -> Count:
    return Count(sum(kinds.values()), {kind: kinds[kind] for kind in KINDS})


def _told(count: Count) -> dict[str, int]:
    return {"planned": count.planned} | count.ended
