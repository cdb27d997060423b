"""The replicas keys of a plan: how many physical copies a system keeps of everything.

``replicas = 3`` (one number), or ``replicas = [1, 3]`` (a factor: every cell once with each), in
the plan or for one system. The first copy counts: 1 is a system without replication.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from deduplab import registry
from deduplab.errors import PlanError
from deduplab.toml_table import Table

if TYPE_CHECKING:
    from deduplab.systems_table import SystemPlan

ONE: Final = (1,)

_KEY: Final = "replicas"
_MOST: Final = 9


def replicas(table: Table, default: tuple[int, ...] = ONE) -> tuple[int, ...]:
    """Take ``replicas``, a number or a list of numbers; the default where it is not given."""
    return table.take(_KEY, _numbers, default=None) or default


def check(root: Table, systems: Table, plans: Iterable[SystemPlan]) -> None:
    """Refuse what no system of the plan could keep.

    A number for one system has to be in its reach. One for all may be out of the reach of
    some, whose cells are UNSUPPORTED then; out of the reach of all it is a mistake.

    Raises
    ------
    PlanError
        At the line of the key.
    """
    plans = tuple(plans)
    reach = {plan.name: registry.system(plan.name).capabilities().most_replicas for plan in plans}
    for plan in plans:
        if plan.replicas == ONE:
            continue
        own = systems.table(plan.name)
        if plan.remote is not None:
            table = own if _KEY in own.names() else root
            raise table.error(_KEY, f"{plan.name} is remote: only ours has replicas of our choice")
        if _KEY in own.names() and max(plan.replicas) > reach[plan.name]:
            raise own.error(_KEY, _words(plan.name, reach[plan.name]))
    if _KEY in root.names():
        most = max((max(plan.replicas) for plan in plans), default=1)
        if most > max(reach.values()):
            whole = "; ".join(_words(name, number) for name, number in reach.items())
            raise root.error(_KEY, whole)


def _words(name: str, number: int) -> str:
    if number == 1:
        return f"{name} keeps one copy here, without replication"
    return f"{name} keeps up to {number} replicas here"


def _numbers(value: Any) -> tuple[int, ...]:
    found = tuple(value) if isinstance(value, list) else (value,)
    if not found:
        raise PlanError("must name one number of replicas at least")
    for one in found:
        if not isinstance(one, int) or isinstance(one, bool) or not 1 <= one <= _MOST:
            raise PlanError(f"must be 1 to {_MOST} replicas, or a list of such, not {one!r}")
    if len(set(found)) < len(found):
        raise PlanError(f"names a number of replicas twice: {', '.join(map(str, found))}")
    return found
