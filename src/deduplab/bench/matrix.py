"""The matrix: a plan unfolded into its cells, in a seeded random order."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Iterable, Iterator
from itertools import product

from deduplab import volume_table
from deduplab.cell import Cell
from deduplab.config import Plan
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import PAYLOADS, build_dataset, missing_source
from deduplab.errors import DatasetError, PlanError
from deduplab.model import DEDUPE_MODES, Stage
from deduplab.rate_table import ARRIVALS
from deduplab.systems_table import SystemPlan
from deduplab.volumes import NONE

# The insert stage stores payloads of its own, so that its copies are copies of each other and
# never of what bulk stored: its grade is then as exact as that of bulk.
_INSERT_SEED_OFFSET = 1_000_003


def cells(plan: Plan) -> tuple[Cell, ...]:
    """Return the cells of a plan, each once, in the order in which they run.

    Grade U0 has no copies and so no distance: one control serves all distances.
    """
    unfolded = list(_unfold(plan))
    random.Random(plan.seed).shuffle(unfolded)  # noqa: S311  (an order, not a secret)
    return tuple(unfolded)


def check_datasets(cells: Collection[Cell]) -> dict[DatasetSpec, int]:
    """Build every dataset of these cells once, so that an impossible one is refused at the start.

    Returns
    -------
    dict
        How many objects each of them has.

    Raises
    ------
    PlanError, DatasetError
        With the stage that would store it, and what to change.
    """
    stages = {spec: "insert" for cell in cells if (spec := cell.insert)}
    stages |= {cell.bulk: "bulk" for cell in cells}
    objects = {}
    for spec, stage in stages.items():
        try:
            objects[spec] = build_dataset(spec).objects
        except (PlanError, DatasetError) as error:
            kind = f"{spec.payload} U{spec.grade_percent} {spec.distance}"
            raise type(error)(f"the data of stage {stage} ({kind}): {error}") from error
    return objects


def without_data(cells: Iterable[Cell]) -> dict[str, str]:
    """Return the cells whose real data is not here, by id, with the reason and what to do."""
    reasons: dict[str, str] = {}
    found: dict[tuple[str, str | None], str] = {}
    for cell in cells:
        spec = cell.bulk
        kind = (spec.payload, spec.source)
        if kind not in found:
            found[kind] = missing_source(spec)
        if found[kind]:
            reasons[cell.cell_id] = found[kind]
    return reasons


def _unfold(plan: Plan) -> Iterator[Cell]:
    for system in plan.systems:
        for volume, variant, rate, clients, layout, payload, placement, grade, number in product(
            plan.volumes,
            system.variants,
            system.rates,
            system.clients,
            plan.layouts,
            plan.payloads,
            plan.placements,
            plan.grades,
            range(1, system.repetitions + 1),
        ):
            for distance in plan.distances if grade else ("none",):
                bulk = DatasetSpec(
                    payload=payload,
                    logical_bytes=plan.dataset_bytes,
                    object_bytes=plan.object_bytes,
                    grade_percent=grade,
                    distance=distance,
                    placement=placement,
                    seed=plan.seed,
                    key_prefix="b",
                    source=dict(plan.sources).get(payload),
                    sizes=plan.sizes,
                    multiplicity=plan.multiplicity,
                    compressibility_percent=plan.compressibility_percent,
                    copies=plan.copies,
                    vary=plan.vary,
                )
                cell = _cell(plan, system, volume, variant, rate, layout, bulk, number)
                for replicas in system.replicas:
                    yield dataclasses.replace(cell, clients=clients, replicas=replicas)


def _cell(
    plan: Plan,
    system: SystemPlan,
    volume: str,
    variant: str,
    rate_per_s: float | None,
    layout: str,
    bulk: DatasetSpec,
    repetition: int,
) -> Cell:
    insert = _insert_part(plan, bulk) if Stage.INSERT in plan.stages else None
    return Cell(
        system=system.name,
        variant=variant,
        layout=layout,
        durability=plan.durability,
        stages=plan.stages,
        bulk=bulk,
        insert=insert,
        repetition=repetition,
        batch_bytes=plan.batch_bytes,
        read_objects=plan.read_objects,
        delete_mode=system.delete_mode,
        reclaim_modes=_reclaim_modes(system, volume),
        cache=plan.cache,
        rest=plan.rest,
        deadline_s=plan.cell_deadline_s,
        remote=system.remote,
        on_disk=plan.on_disk,
        trace_hz=plan.trace_hz,
        volume=volume,
        volume_bytes=volume_table.size_of(volume, plan.volume_bytes, bulk, insert),
        rate_per_s=rate_per_s,
        arrivals=ARRIVALS[0] if rate_per_s is None else plan.arrivals,
    )


def _reclaim_modes(system: SystemPlan, volume: str) -> tuple[str, ...]:
    """Return the modes of a cell: without a volume there is nothing that could share blocks."""
    return tuple(
        mode for mode in system.reclaim_modes if volume != NONE or mode not in DEDUPE_MODES
    )


def _insert_part(plan: Plan, bulk: DatasetSpec) -> DatasetSpec:
    share_bytes = bulk.logical_bytes * plan.insert_percent // 100
    # A real corpus is the same whatever the seed: insert begins behind what bulk takes of it.
    unique_bytes = bulk.logical_bytes * (100 - bulk.grade_percent) // 100
    real = PAYLOADS[bulk.payload].kind == "real"
    return dataclasses.replace(
        bulk,
        logical_bytes=max(share_bytes, bulk.object_bytes),
        seed=bulk.seed + _INSERT_SEED_OFFSET,
        key_prefix="i",
        skip_bytes=unique_bytes + bulk.object_bytes if real else 0,
    )
