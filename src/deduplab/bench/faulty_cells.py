"""Committed cells that do not count and may be measured anew: FAILED, INVALID or damaged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from deduplab.errors import StoreError
from deduplab.model import OutcomeKind
from deduplab.store import Run

DAMAGED: Final = "damaged"
_FAULTS: Final = (OutcomeKind.FAILED, OutcomeKind.INVALID)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a committed cell: ``kind`` is an outcome's name, or ``damaged``."""

    cell_id: str
    kind: str
    reason: str


def faulty_cells(run: Run, but: Collection[str] = ()) -> list[Fault]:
    """Return the committed cells of a run that do not count, by id, each file looked at.

    What a system has no operation for stays as it is: it would be UNSUPPORTED again.

    Parameters
    ----------
    but
        Ids of cells that can't be measured now: they are named only if they are damaged.
    """
    found = []
    for cell_id in sorted(run.committed_ids()):
        try:
            outcome = run.whole_cell(cell_id).outcome
        except StoreError as error:
            found.append(Fault(cell_id, DAMAGED, str(error)))
            continue
        if outcome.kind in _FAULTS and cell_id not in but:
            found.append(Fault(cell_id, outcome.kind.value, outcome.reason))
    return found
