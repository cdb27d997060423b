"""Coverage: what of the plan was measured, and everything that does not count, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deduplab.cell import CellResult, shown_system
from deduplab.model import Measurement, Moment, Outcome, OutcomeKind
from deduplab.store import RunHeader


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not count: equal troubles of several cells are one.

    ``kind`` is INVALID, FAILED, UNSUPPORTED or ``censored``. ``curve`` (of the
    first cell) holds pairs of seconds and allocated bytes while waiting for rest.
    """

    kind: str
    system: str
    stage: str
    reason: str
    cells: tuple[str, ...]
    curve: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """Cells planned and committed, by outcome; ``troubles`` most serious first.

    ``rest_windows_s`` are the windows of rest of the committed cells, ascending.
    """

    planned: int
    committed: int
    by_outcome: dict[str, int]
    troubles: tuple[Trouble, ...]
    versions: dict[str, str]
    rest_windows_s: tuple[float, ...] = ()

    @property
    def outstanding(self) -> int:
        """Cells of the plan that are not committed."""
        return self.planned - self.committed


def coverage(header: RunHeader, results: Iterable[CellResult]) -> Coverage:
    """Count the cells of a run and collect what does not count."""
    found = list(results)
    planned = set(header.cell_ids) | {result.cell.cell_id for result in found}
    kinds = {kind.value: 0 for kind in OutcomeKind}
    versions: dict[str, set[str]] = {}
    for result in found:
        kinds[result.outcome.kind.value] += 1
        if result.identity is not None:
            name = f"{result.identity.product} {result.identity.version}"
            versions.setdefault(result.cell.system, set()).add(name)
    return Coverage(
        planned=len(planned),
        committed=len(found),
        by_outcome=kinds,
        troubles=_troubles(found),
        rest_windows_s=tuple(sorted({result.cell.rest.window_s for result in found})),
        versions={system: ", ".join(sorted(names)) for system, names in sorted(versions.items())},
    )


def _troubles(results: Iterable[CellResult]) -> tuple[Trouble, ...]:
    merged: dict[tuple[str, str, str, str], Trouble] = {}
    for result in results:
        for trouble in _of_cell(result):
            key = (trouble.kind, trouble.system, trouble.stage, trouble.reason)
            before = merged.get(key)
            merged[key] = trouble if before is None else _joined(before, trouble)
    order = ["FAILED", "INVALID", "censored", "UNSUPPORTED"]
    return tuple(sorted(merged.values(), key=lambda entry: (order.index(entry.kind), entry.system)))


def _joined(first: Trouble, second: Trouble) -> Trouble:
    cells = tuple(dict.fromkeys((*first.cells, *second.cells)))
    return Trouble(first.kind, first.system, first.stage, first.reason, cells, first.curve)


def _of_cell(result: CellResult) -> list[Trouble]:
    """Collect a cell's troubles; its own outcome repeats what a measurement of it says already."""
    troubles = [
        _trouble(result, entry.stage.value, entry.outcome)
        for entry in result.measurements
        if not entry.outcome.ok
    ]
    told = any(trouble.kind == result.outcome.kind for trouble in troubles)
    if not result.outcome.ok and not told:
        troubles.append(_trouble(result, "cell", result.outcome))
    if result.baseline is not None:
        troubles += _censored(result, "baseline", result.baseline)
    for entry in result.measurements:
        for moment in entry.moments:
            troubles += _censored(result, _stage_words(entry), moment)
    return troubles


def _trouble(result: CellResult, stage: str, outcome: Outcome) -> Trouble:
    return Trouble(outcome.kind.value, _name(result), stage, outcome.reason, (result.cell.label,))


def _censored(result: CellResult, stage: str, moment: Moment) -> list[Trouble]:
    rest = moment.rest
    if rest is None or rest.settled:
        return []
    busy = ", ".join(sorted(rest.busy))
    reason = f"not at rest by the deadline of {result.cell.rest.deadline_s:.0f} s; " + (
        f"still busy: {busy}" if busy else "the size kept changing"
    )
    curve = tuple((at_ns / 1e9, at_bytes) for at_ns, at_bytes in rest.curve)
    return [Trouble("censored", _name(result), stage, reason, (result.cell.label,), curve)]


def _stage_words(entry: Measurement) -> str:
    return f"{entry.stage.value} ({entry.mode})" if entry.mode else entry.stage.value


def _name(result: CellResult) -> str:
    return shown_system(result.cell.system, result.cell.variant)
