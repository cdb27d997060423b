"""What still lies twice in a system's own files after bulk: what a volume below could save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from deduplab.analysis.context import Context, Place, left_out
from deduplab.analysis.footprints import sample
from deduplab.analysis.groups import Group
from deduplab.analysis.row import Row
from deduplab.analysis.statistics import estimate, quotient
from deduplab.cell import CellResult
from deduplab.model import Layer, OnDiskReading, Outcome, OutcomeKind, Stage

RATIO: Final = "on_disk_ratio"
COPIES: Final = "copies_on_disk"

_Count = Callable[[OnDiskReading], int]


def on_disk_rows(run: str, group: Group) -> Iterator[Row]:
    """Yield, for cells whose files were scanned, the redundancy at each grain and the copies.

    ``on_disk_ratio`` is the length of the files / their unique bytes at the grain, and
    ``copies_on_disk`` the whole copies of payloads that were found as they are / the
    objects that were stored.
    """
    if not group.counting or not group.cells[0].cell.on_disk:
        return
    context = Context(run, group)
    place = Place(Stage.BULK, "rest", None, Layer.FILES.value, None)
    readings = [found for cell in group.counting if (found := _reading(cell))]
    for grain in readings[0].grain_unique_bytes if readings else ():
        yield _row(
            context,
            place,
            f"{RATIO}:{grain}",
            lambda reading: reading.apparent_bytes,
            lambda reading, grain=grain: reading.grain_unique_bytes[grain],  # type: ignore[misc]
        )
    yield _row(
        context,
        place,
        COPIES,
        lambda reading: reading.planted_found,
        lambda reading: reading.planted_stored,
    )


def _row(context: Context, place: Place, metric: str, above: _Count, below: _Count) -> Row:
    def column(count: _Count) -> Callable[[CellResult], int | Outcome]:
        def value(cell: CellResult) -> int | Outcome:
            reading = _reading(cell)
            if reading is None:
                return Outcome(OutcomeKind.UNSUPPORTED, "its files can't be seen from here")
            if reading.left_out:
                return Outcome(OutcomeKind.INVALID, f"{reading.left_out} files could not be read")
            return count(reading)

        return value

    found = sample(context.group.counting, [column(above), column(below)])
    if not len(found.values):
        return context.absent(place, metric, "ratio", found.problem)
    if not found.values[:, 1].all():
        problem = Outcome(OutcomeKind.INVALID, "not defined: there is nothing to compare with")
        return context.absent(place, metric, "ratio", problem)
    return context.figure(
        place, metric, "ratio", estimate(quotient, [found.values]), left_out(found)
    )


def _reading(cell: CellResult) -> OnDiskReading | None:
    found = (one.on_disk for one in cell.measurements if one.stage is Stage.BULK)
    return next(found, None)
