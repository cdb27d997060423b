"""The clients keys of a plan: how many clients do at once what goes object by object.

``clients = 4`` (one number), or ``clients = [1, 4, 16]`` (a factor: every cell once with each), in
the plan or for one system.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from deduplab.errors import PlanError
from deduplab.model import Stage, is_paced
from deduplab.toml_table import Table

if TYPE_CHECKING:
    from deduplab.systems_table import SystemPlan

ONE: Final = (1,)

_KEY: Final = "clients"
_MOST: Final = 64


def clients(table: Table, default: tuple[int, ...] = ONE) -> tuple[int, ...]:
    """Take ``clients``, a number or a list of numbers; the default where it is not given."""
    return table.take(_KEY, _numbers, default=None) or default


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
        if plan.clients == ONE or shared:
            continue
        own = systems.table(plan.name)
        table = own if _KEY in own.names() else root
        raise table.error(
            _KEY,
            f"no stage of {plan.name} would be shared by clients: insert, read and delete by row "
            "are, for they go object by object",
        )


def _numbers(value: Any) -> tuple[int, ...]:
    found = tuple(value) if isinstance(value, list) else (value,)
    if not found:
        raise PlanError("must name one number of clients at least")
    for one in found:
        if not isinstance(one, int) or isinstance(one, bool) or not 1 <= one <= _MOST:
            raise PlanError(f"must be 1 to {_MOST} clients, or a list of such, not {one!r}")
    if len(set(found)) < len(found):
        raise PlanError(f"names a number of clients twice: {', '.join(map(str, found))}")
    return found
