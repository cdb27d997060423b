"""The rate keys of a plan: how many operations a second are offered, and how they come.

``rate = 500`` (one), or ``rates = ["closed", 500, 2000]`` (a factor: every cell once at each), in
the plan or for one system; and ``arrivals``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from deduplab.errors import PlanError
from deduplab.factor import Factor
from deduplab.model import Stage, is_paced
from deduplab.toml_table import Table, choice

if TYPE_CHECKING:
    from deduplab.systems_table import SystemPlan

CLOSED: Final = "closed"
CLOSED_LOOP: Final = (None,)
ARRIVALS: Final = ("constant", "poisson")

_LEAST_PER_S: Final = 0.1
_MOST_PER_S: Final = 1_000_000


def rates(
    table: Table, default: tuple[float | None, ...] = CLOSED_LOOP
) -> tuple[float | None, ...]:
    """Take ``rate`` or ``rates``, None for a closed loop; the default where neither is given."""
    return _RATES.take(table, default)


def arrivals(root: Table) -> str:
    """Take ``arrivals``: ``constant`` (default) or ``poisson``."""
    return root.take("arrivals", choice("way to arrive", ARRIVALS), default=ARRIVALS[0])


def check(
    root: Table, systems: Table, plans: Iterable[SystemPlan], stages: Iterable[Stage]
) -> None:
    """Refuse a rate that no stage would keep, and arrivals without a rate.

    Raises
    ------
    PlanError
        At the line of the key.
    """
    plans, stages = tuple(plans), tuple(stages)
    for plan in plans:
        paced = any(is_paced(stage, plan.delete_mode) for stage in stages)
        if plan.rates != CLOSED_LOOP and not paced:
            words = (
                f"no stage of {plan.name} would keep a rate: insert, read and delete by row do, "
                "for they go object by object"
            )
            raise _RATES.error(root, systems, plan.name, words)
    if "arrivals" in root.names() and all(plan.rates == CLOSED_LOOP for plan in plans):
        raise root.error("arrivals", "'arrivals' needs a 'rate'")


def _rate(value: Any) -> float | None:
    if value == CLOSED:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not _LEAST_PER_S <= value <= _MOST_PER_S:
        raise PlanError(
            f"must be {_LEAST_PER_S} to {_MOST_PER_S} operations a second, or {CLOSED!r} for a "
            f"closed loop, not {value!r}"
        )
    return float(value)


_RATES: Final[Factor[float | None]] = Factor("rate", _rate, CLOSED_LOOP, plural="rates")
