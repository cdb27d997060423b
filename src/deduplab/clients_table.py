"""The clients keys of a plan: how many clients do at once what goes object by object.

``clients = 4`` (one number), or ``clients = [1, 4, 16]`` (a factor: every cell once with each), in
the plan or for one system.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from deduplab.factor import Factor, whole
from deduplab.model import Stage, is_paced
from deduplab.toml_table import Table

if TYPE_CHECKING:
    from deduplab.systems_table import SystemPlan

ONE: Final = (1,)

_CLIENTS: Final = Factor("clients", whole(64, "clients"), ONE)


def clients(table: Table, default: tuple[int, ...] = ONE) -> tuple[int, ...]:
    """Take ``clients``, a number or a list of numbers; the default where it is not given."""
    return _CLIENTS.take(table, default)


def check(
    root: Table, systems: Table, plans: Iterable[SystemPlan], stages: Iterable[Stage]
) -> None:
    """Refuse several clients where no stage would have them.

    Raises
    ------
    PlanError
        At the line of the key.
    """
    stages = tuple(stages)
    for plan in plans:
        shared = any(is_paced(stage, plan.delete_mode) for stage in stages)
        if plan.clients != ONE and not shared:
            words = (
                f"no stage of {plan.name} would be shared by clients: insert, read and delete by "
                "row are, for they go object by object"
            )
            raise _CLIENTS.error(root, systems, plan.name, words)
