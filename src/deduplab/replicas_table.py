"""The replicas keys of a plan: how many physical copies a system keeps of everything.

``replicas = 3`` (one number), or ``replicas = [1, 3]`` (a factor: every cell once with each), in
the plan or for one system. The first copy counts: 1 is a system without replication.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from deduplab import registry
from deduplab.factor import Factor, whole
from deduplab.toml_table import Table

if TYPE_CHECKING:
    from deduplab.systems_table import SystemPlan

ONE: Final = (1,)

_REPLICAS: Final = Factor("replicas", whole(9, "replicas"), ONE)


def replicas(table: Table, default: tuple[int, ...] = ONE) -> tuple[int, ...]:
    """Take ``replicas``, a number or a list of numbers; the default where it is not given."""
    return _REPLICAS.take(table, default)


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
        own = _REPLICAS.key in systems.table(plan.name).names()
        words = ""
        if plan.remote is not None and plan.replicas != ONE:
            words = f"{plan.name} is remote: only ours has replicas of our choice"
        elif own and max(plan.replicas) > reach[plan.name]:
            words = _words(plan.name, reach[plan.name])
        if words:
            raise _REPLICAS.error(root, systems, plan.name, words)
    if _REPLICAS.key in root.names() and max(map(max, (plan.replicas for plan in plans))) > max(
        reach.values()
    ):
        words = "; ".join(_words(name, number) for name, number in reach.items())
        raise root.error(_REPLICAS.key, words)


def _words(name: str, number: int) -> str:
    if number == 1:
        return f"{name} keeps one copy here, without replication"
    return f"{name} keeps up to {number} replicas here"
