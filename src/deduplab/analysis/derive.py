"""From the store to rows: every figure of a run, derived and never stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

from deduplab.analysis.bounds import bound_rows
from deduplab.analysis.deletion import deletion_rows
from deduplab.analysis.groups import Group, controls, grouped
from deduplab.analysis.on_disk import on_disk_rows
from deduplab.analysis.ratios import ratio_rows
from deduplab.analysis.replicas import replica_rows
from deduplab.analysis.resolution import Resolution, resolutions
from deduplab.analysis.row import Row, ordered
from deduplab.analysis.sizes import size_rows
from deduplab.analysis.timings import timing_rows
from deduplab.cell import CellResult
from deduplab.store import Run


def rows(run: Run) -> list[Row]:
    """Return every figure of a run's committed cells, by group, FILES allocated first.

    A figure that can't be computed is a row without a value and with the reason.

    Raises
    ------
    StoreError
        If a cell can't be read.
    """
    return rows_of(run, run.cells())


def rows_of(run: Run, results: Iterable[CellResult]) -> list[Row]:
    """Return the same as :func:`rows` from cells that were read already."""
    return ordered(itertools.chain.from_iterable(part for _, part in rows_by_group(run, results)))


def rows_by_group(
    run: Run, results: Iterable[CellResult], wanted: Callable[[Group], bool] = lambda group: True
) -> Iterator[tuple[Group, list[Row]]]:
    """Yield every group that is wanted with its figures."""
    groups = grouped(results)
    firsts = controls(groups)
    steps = resolutions(groups)
    for group in filter(wanted, groups):
        resolution = steps[group.series.system, group.series.variant]
        yield group, list(_rows_of_group(run, group, firsts.get(group.series), resolution))


def _rows_of_group(
    run: Run, group: Group, control: Group | None, resolution: Resolution
) -> Iterator[Row]:
    run_id = run.header.run_id
    yield from ratio_rows(run_id, group, control, resolution)
    yield from replica_rows(run_id, group, resolution)
    yield from bound_rows(run_id, group, control, resolution)
    yield from deletion_rows(run_id, group, resolution)
    yield from size_rows(run_id, group)
    yield from on_disk_rows(run_id, group)
    yield from timing_rows(run, group)
