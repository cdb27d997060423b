"""Plans: TOML in, a validated plan out; an unknown name or key is an error with its line.

A plan names everything that a campaign varies. Nothing is started before the
whole plan is known to be valid.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from deduplab import (
    clients_table,
    data_table,
    rate_table,
    registry,
    replicas_table,
    stage_chain,
    systems_table,
    volume_table,
)
from deduplab.cell import LATER, RestSettings, declared, hash_of
from deduplab.dataset_spec import CopySpec, SizeSpec
from deduplab.datasets import PAYLOADS, PLACEMENTS
from deduplab.errors import PlanError, unknown_name
from deduplab.model import Stage
from deduplab.scale import scaled_bytes, told
from deduplab.systems_table import SystemPlan
from deduplab.toml_table import Table, boolean, choice, integer, seconds, some_bytes, string
from deduplab.units import parse_bytes, parse_percent

GRADES: Final = {"U0": 0, "U50": 50, "U90": 90, "U95": 95, "U99": 99}
CACHES: Final = ("warm",)
IF_MISSING: Final = ("refuse", "leave-out")
TRACE_HZ: Final = 10.0
_LEAST_TRACE_HZ: Final = 0.1
_MOST_TRACE_HZ: Final = 100.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated plan; ``digest`` identifies it together with its scale.

    ``repetitions`` holds for systems that name none of their own. Sizes are in
    bytes, before scaling; ``scale`` multiplies ``logical_bytes``. ``sources`` has
    pairs (payload, folder or file). ``volume_bytes`` is None where the size of
    volumes follows from the data. ``arrivals`` is how the operations of open loops come.
    ``if_missing`` tells what becomes of cells whose real
    data is not here: ``refuse`` (nothing is started) or ``leave-out`` (they are not run).
    """

    name: str
    seed: int
    repetitions: int
    stages: tuple[Stage, ...]
    layouts: tuple[str, ...]
    durability: str
    cache: str
    cell_deadline_s: float
    payloads: tuple[str, ...]
    grades: tuple[int, ...]
    distances: tuple[str | int | tuple[int, ...], ...]
    placements: tuple[str, ...]
    logical_bytes: int
    object_bytes: int
    sizes: SizeSpec
    multiplicity: str | tuple[tuple[int, int], ...]
    compressibility_percent: int | None
    copies: CopySpec
    vary: bool
    batch_bytes: int
    insert_percent: int
    read_objects: int
    sources: tuple[tuple[str, str], ...]
    rest: RestSettings
    on_disk: bool
    trace_hz: float
    systems: tuple[SystemPlan, ...]
    volumes: tuple[str, ...] = ("none",)
    volume_bytes: int | None = None
    if_missing: str = "refuse"
    arrivals: str = field(default="constant", metadata=LATER)
    scale: Fraction | int = 1
    text: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """Return 16 hexadecimal digits over everything the plan declares."""
        inputs = declared(dataclasses.replace(self, scale=1))
        del inputs["text"]
        inputs["scale"] = told(self.scale)
        return hash_of(inputs)[:16]

    @property
    def dataset_bytes(self) -> int:
        """Return the logical bytes of one dataset at the plan's scale."""
        return scaled_bytes(self.logical_bytes, self.object_bytes, self.scale)


def load(path: Path, *, scale: Fraction | int = 1, only: tuple[str, ...] = ()) -> Plan:
    """Read and validate a plan file.

    Parameters
    ----------
    path
        A TOML file.
    scale
        Factor on the logical size, above 0; a fraction is rounded down to whole objects.
    only
        Systems to keep (``postgresql`` or ``clickhouse/mergetree``); all if empty.

    Raises
    ------
    PlanError
        With file, line, and the nearest valid name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"the plan {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"the plan {path} is no text in UTF-8: {error}") from error
    return parse(text, origin=str(path), scale=scale, only=only)


def parse(text: str, *, origin: str, scale: Fraction | int = 1, only: tuple[str, ...] = ()) -> Plan:
    """Validate a plan given as text; ``origin`` names it in messages. See :func:`load`."""
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # numbers of very many digits are no TOMLDecodeError
        raise PlanError(f"{origin}: not valid TOML: {error}") from error
    if scale <= 0:
        raise PlanError(f"the scale is a number above 0, not {scale}")
    root = Table(document, (), text, origin)
    data = root.table("data")
    rest = root.table("rest", optional=True)
    systems = root.table("systems")
    repetitions = root.take("repetitions", integer(1), default=3)
    object_bytes, sizes = data_table.object_sizes(data)
    volumes = volume_table.volumes(root)
    dedupe = volume_table.dedupe(root, volumes)
    factors = (
        rate_table.rates(root),
        clients_table.clients(root),
        replicas_table.replicas(root),
    )
    plan = Plan(
        name=root.take("name", _name),
        seed=root.take("seed", integer(0), default=1),
        repetitions=repetitions,
        stages=stage_chain.stages(root),
        layouts=root.take_list("layouts", choice("layout", ("blob", "native")), default=("blob",)),
        durability=root.take(
            "durability", choice("durability", ("fsync", "interval", "none")), default="fsync"
        ),
        cache=root.take("cache", _cache, default="warm"),
        cell_deadline_s=root.take("cell_deadline_s", seconds, default=600.0),
        payloads=data.take_list("payloads", choice("payload", tuple(PAYLOADS))),
        grades=data.take_list("grades", _grade),
        distances=data.take_list("distances", data_table.distance, default=("shuffled",)),
        placements=data.take_list(
            "placements", choice("placement", PLACEMENTS), default=("within",)
        ),
        logical_bytes=data.take("logical_size", parse_bytes),
        object_bytes=object_bytes,
        sizes=sizes,
        multiplicity=data_table.multiplicity(data, Path(origin).parent),
        compressibility_percent=data_table.compressibility(data),
        copies=data_table.copies(data),
        vary=data.take("vary", boolean, default=False),
        batch_bytes=data.take("batch_size", some_bytes, default=16 * 1024 * 1024),
        insert_percent=data.take("insert_share", parse_percent, default=10),
        read_objects=data.take("read_objects", integer(1), default=1000),
        sources=_sources(data),
        rest=RestSettings(
            window_s=rest.take("window_s", seconds, default=1.0),
            interval_s=rest.take("interval_s", seconds, default=0.1),
            deadline_s=rest.take("deadline_s", seconds, default=60.0),
        ),
        on_disk=root.take("on_disk", boolean, default=False),
        trace_hz=root.take("trace_hz", _trace_hz, default=TRACE_HZ),
        systems=systems_table.systems(systems, repetitions, volumes, dedupe, *factors),
        arrivals=rate_table.arrivals(root),
        volumes=volumes,
        volume_bytes=volume_table.volume_bytes(root, volumes),
        if_missing=data.take("if_missing", choice("answer", IF_MISSING), default=IF_MISSING[0]),
        scale=scale,
        text=text,
    )
    for table in (root, data, rest, systems):
        table.finish()
    _check_together(plan, root, data)
    rate_table.check(root, systems, plan.systems, plan.stages)
    clients_table.check(root, systems, plan.systems, plan.stages)
    replicas_table.check(root, systems, plan.systems)
    if plan.rest.window_s >= plan.rest.deadline_s:
        raise rest.error("window_s", "window_s must be below deadline_s: nothing could settle")
    return _keep_only(plan, only)


def _sources(data: Table) -> tuple[tuple[str, str], ...]:
    """Take ``source`` (of the payload ``files``) and the table ``sources`` (payload to path)."""
    given: dict[str, str] = {}
    if source := data.take("source", string, default=None):
        given["files"] = source
    table = data.table("sources", optional=True)
    for payload in table.names():
        if payload not in PAYLOADS or PAYLOADS[payload].source == "none":
            known = tuple(name for name, entry in PAYLOADS.items() if entry.source != "none")
            raise table.error(payload, unknown_name("payload with a source", payload, known))
        given[payload] = table.take(payload, string)
    return tuple(sorted(given.items()))


def _check_together(plan: Plan, root: Table, data: Table) -> None:
    """Check what only several keys together can get wrong."""
    if plan.logical_bytes < plan.object_bytes:
        raise data.error("logical_size", "the logical size is smaller than one object")
    stage_chain.check(plan.stages, root)
    if "files" in plan.payloads and "files" not in dict(plan.sources):
        raise data.error("payloads", "payload 'files' needs 'source = \"FOLDER\"' in [data]")
    if plan.copies.form != "exact" and "native" in plan.layouts:
        raise root.error(
            "layouts", f"copies of form {plan.copies.form!r} are no records: take layout 'blob'"
        )
    for system in plan.systems:
        if system.remote and plan.volumes != ("none",):
            key = "volume" if "volume" in root.names() else "volumes"
            raise root.error(key, f"{system.name} is remote: only a private instance has a volume")
        offers = registry.system(system.name).capabilities()
        if offers.stores_data and plan.durability not in offers.durability:
            raise root.error(
                "durability",
                f"{system.name} offers {', '.join(map(repr, offers.durability))}, not "
                f"{plan.durability!r}; durability is equal across the systems of a campaign: take "
                "one that all of them offer, or measure this system by a plan of its own",
            )


def _keep_only(plan: Plan, only: tuple[str, ...]) -> Plan:
    if not only:
        return plan
    kept = []
    known = tuple(f"{s.name}/{v}" for s in plan.systems for v in s.variants)
    for wanted in only:
        if wanted not in known and wanted not in {s.name for s in plan.systems}:
            names = tuple(s.name for s in plan.systems) + known
            raise PlanError("--only: " + unknown_name("system of this plan", wanted, names))
    for system in plan.systems:
        variants = tuple(
            v for v in system.variants if system.name in only or f"{system.name}/{v}" in only
        )
        if variants:
            kept.append(dataclasses.replace(system, variants=variants))
    return dataclasses.replace(plan, systems=tuple(kept))


def _name(value: Any) -> str:
    text = string(value)
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", text):
        raise PlanError(f"{text!r} is not a plan name: a-z, 0-9, _ and -, a letter first")
    return text


def _cache(value: Any) -> str:
    if value == "cold":
        raise PlanError("give the stage 'cold-read': between stages nothing is made cold")
    return choice("cache state", CACHES)(value)


def _grade(value: Any) -> int:
    if not isinstance(value, str) or value not in GRADES:
        raise PlanError(unknown_name("grade", str(value), tuple(GRADES)))
    return GRADES[value]


def _trace_hz(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (value == 0 or _LEAST_TRACE_HZ <= value <= _MOST_TRACE_HZ):
        raise PlanError(
            f"must be {_LEAST_TRACE_HZ} to {_MOST_TRACE_HZ} samples a second, or 0 for no trace, "
            f"not {value!r}"
        )
    return float(value)
