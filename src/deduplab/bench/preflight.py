"""Preflight: what of a plan can be run with the data that is here, told before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from deduplab.bench import matrix
from deduplab.bench.estimate import scheduled_s
from deduplab.cell import Cell
from deduplab.config import Plan
from deduplab.dataset_spec import DatasetSpec
from deduplab.errors import DatasetError, PlanError
from deduplab.units import format_rate, format_seconds


@dataclass(frozen=True, slots=True)
class Preflight:
    """The cells of a plan, and those of them whose data is not here, by id with the reason.

    ``objects`` tells how many objects each dataset of the others has.
    """

    cells: tuple[Cell, ...]
    left_out: Mapping[str, str]
    objects: Mapping[DatasetSpec, int]


def check(plan: Plan) -> Preflight:
    """Unfold a plan and build each of its datasets once.

    Raises
    ------
    PlanError, DatasetError
        If a dataset can't be had: with what to change, and for a scale that is too
        small with the smallest one that every dataset of the plan still works at.
        Real data that is not here is refused too, unless the plan leaves it out, and so is a
        rate that takes longer than the deadline of a cell.
    """
    try:
        found = _checked(plan)
    except (PlanError, DatasetError) as error:
        least = smallest_scale(plan) if plan.scale < 1 else None
        if least is None:
            raise
        raise PlanError(
            f"the scale {plan.scale} is too small: {error}. The smallest scale at which every "
            f"dataset of this plan works is {least}"
        ) from error
    _check_rates(found)
    return found


def smallest_scale(plan: Plan) -> Fraction | None:
    """Return the smallest scale of the form 1/n, above the plan's own, at which its data works.

    Found by bisection: what works at a scale is taken to work at every larger one.
    None if its data does not work at scale 1 either.
    """
    fails = int(1 / Fraction(plan.scale)) + 1  # 1/fails is below the plan's own scale
    works = fails
    while not _works(plan, works):
        if works == 1:
            return None
        fails, works = works, works // 2
    while fails - works > 1:
        middle = (fails + works) // 2
        if _works(plan, middle):
            works = middle
        else:
            fails = middle
    return Fraction(1, works)


def _works(plan: Plan, divisor: int) -> bool:
    try:
        _checked(dataclasses.replace(plan, scale=Fraction(1, divisor)))
    except (PlanError, DatasetError):
        return False
    return True


def _checked(plan: Plan) -> Preflight:
    cells = matrix.cells(plan)
    left_out = matrix.without_data(cells) if plan.if_missing == "leave-out" else {}
    objects = matrix.check_datasets([cell for cell in cells if cell.cell_id not in left_out])
    return Preflight(cells, left_out, objects)


def _check_rates(found: Preflight) -> None:
    """Refuse a cell whose schedule alone is longer than its deadline."""
    for cell in found.cells:
        if cell.rate_per_s is None or cell.cell_id in found.left_out:
            continue
        parts_s = scheduled_s(cell, found.objects)
        if sum(parts_s.values()) < cell.deadline_s:
            continue
        parts = ", ".join(f"{stage} {format_seconds(took_s)}" for stage, took_s in parts_s.items())
        raise PlanError(
            f"{cell.label}: at {format_rate(cell.rate_per_s)} its operations take "
            f"{format_seconds(sum(parts_s.values()))} ({parts}), and a cell has "
            f"{format_seconds(cell.deadline_s)}: raise 'rate' or 'cell_deadline_s', or lower "
            "'insert_share', 'read_objects' or the size"
        )
