"""What a plan's table ``[systems]`` says: which systems, in which variants, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field

from deduplab import clients_table, rate_table, registry, replicas_table, volume_table
from deduplab.cell import LATER, RemoteAddress
from deduplab.errors import PlanError
from deduplab.model import DEDUPE_MODES
from deduplab.remote_table import remote_address
from deduplab.toml_table import Table, choice, integer


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """One system of a plan: variants, how to delete, which maintenance, how often.

    ``rates`` are those of its stages that go object by object: operations a second, each in
    cells of its own; None is a closed loop. ``clients`` are how many do those stages at once,
    each number in cells of its own. ``replicas`` are how many physical copies the system keeps,
    each number in cells of its own.
    """

    name: str
    variants: tuple[str, ...]
    delete_mode: str
    reclaim_modes: tuple[str, ...]
    repetitions: int
    remote: RemoteAddress | None = None
    rates: tuple[float | None, ...] = field(default=rate_table.CLOSED_LOOP, metadata=LATER)
    clients: tuple[int, ...] = field(default=clients_table.ONE, metadata=LATER)
    replicas: tuple[int, ...] = field(default=replicas_table.ONE, metadata=LATER)


def systems(
    table: Table,
    repetitions: int,
    volumes: tuple[str, ...],
    dedupe: tuple[str, ...],
    rates: tuple[float | None, ...],
    clients: tuple[int, ...],
    replicas: tuple[int, ...],
) -> tuple[SystemPlan, ...]:
    """Take all systems of a plan.

    Parameters
    ----------
    repetitions
        Of a system that names no number of its own.
    volumes, dedupe
        What the plan says of volumes: dedupe is a step of each system's maintenance.
    rates, clients, replicas
        Those of a system that names none of its own.

    Raises
    ------
    PlanError
        If there is none, or one is wrong, with the line.
    """
    plans = []
    for name in table.names():
        try:
            offers = registry.system(name).capabilities()
        except PlanError as error:
            raise table.error(name, str(error)) from error
        own = table.table(name)
        plans.append(
            SystemPlan(
                name=name,
                variants=own.take_list(
                    "variants",
                    choice(f"variant of {name}", offers.variant_names()),
                    default=offers.variant_names()[:1],
                ),
                delete_mode=own.take(
                    "delete",
                    choice(f"delete mode of {name}", offers.delete_modes),
                    default=offers.delete_modes[0],
                ),
                reclaim_modes=_reclaim_modes(own, name, volumes, dedupe),
                repetitions=own.take("repetitions", integer(1), default=repetitions),
                remote=remote_address(own, name),
                rates=rate_table.rates(own, rates),
                clients=clients_table.clients(own, clients),
                replicas=replicas_table.replicas(own, replicas),
            )
        )
        own.finish()
    if not plans:
        raise PlanError(f"{table.origin}: [systems] names no system")
    return tuple(plans)


def _reclaim_modes(
    own: Table, name: str, volumes: tuple[str, ...], dedupe: tuple[str, ...]
) -> tuple[str, ...]:
    """Take the system's maintenance; the step dedupe, which is the volume's, comes last."""
    offered = registry.system(name).capabilities().reclaim_modes
    modes = own.take_list(
        "reclaim",
        choice(f"reclaim mode of {name}", (*offered, *DEDUPE_MODES)),
        default=offered,
        may_be_empty=True,
    )
    kept = tuple(mode for mode in modes if mode not in DEDUPE_MODES)
    sharing = tuple(mode for mode in modes if mode in DEDUPE_MODES)
    if sharing:
        volume_table.check_dedupe(own, "reclaim", volumes)
    if len({*sharing, *dedupe}) > 1:
        raise own.error("reclaim", f"one way to dedupe a cell, not {len({*sharing, *dedupe})}")
    return (*kept, *(sharing or dedupe))
