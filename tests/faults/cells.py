"""Small cells of every server system, and chains that lead to one stage."""

from __future__ import annotations

import dataclasses
from typing import Final

from deduplab import config, registry
from deduplab.bench import matrix
from deduplab.cell import Cell
from deduplab.model import Stage

SERVERS: Final = tuple(name for name, entry in registry.systems().items() if entry.kind == "server")
EMBEDDED: Final = tuple(
    name for name, entry in registry.systems().items() if entry.kind == "embedded"
)

CHAINS: Final = {
    Stage.BULK: (Stage.BULK,),
    Stage.INSERT: (Stage.INSERT,),
    Stage.READ: (Stage.BULK, Stage.READ),
    Stage.DELETE: (Stage.BULK, Stage.DELETE),
    Stage.RECLAIM: (Stage.BULK, Stage.RECLAIM),
    Stage.REFILL: (Stage.BULK, Stage.DELETE, Stage.REFILL),
}
"""The shortest chain that leads to each stage."""

RECLAIMED: Final = {"nats": "unique-content"}
"""The variant that has a maintenance, where the default one has none."""

PLAN: Final = """\
name = "faults"
repetitions = 1
durability = "{durability}"
stages = ["bulk", "read", "reclaim", "insert", "delete", "reclaim", "refill"]
[data]
payloads = ["random_binary"]
grades = ["U50"]
distances = ["shuffled"]
logical_size = "{size}"
object_size = "8 KiB"
insert_share = "25 %"
batch_size = "{batch}"
read_objects = 8
[rest]
window_s = 0.05
interval_s = 0.01
deadline_s = 10
[systems.{system}]
"""


def plan_of(system: str, size: str = "256 KiB", batch: str = "64 KiB") -> str:
    durability = registry.system(system).capabilities().durability[0]
    return PLAN.format(system=system, size=size, batch=batch, durability=durability)


def cell_of(system: str, stage: Stage | None = None, **sizes: str) -> Cell:
    """Return a system's cell, with the whole chain of the plan or the shortest to a stage."""
    (cell,) = matrix.cells(config.parse(plan_of(system, **sizes), origin="faults.toml"))
    if stage is None:
        return cell
    variant = RECLAIMED.get(system, cell.variant) if stage is Stage.RECLAIM else cell.variant
    return dataclasses.replace(cell, stages=CHAINS[stage], variant=variant)
