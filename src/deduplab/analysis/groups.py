"""Groups: the repetitions of one point of the experiment, and the U0 control of each."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deduplab.cell import Cell, CellResult, hash_of
from deduplab.model import OK, Outcome, OutcomeKind

ON: Final = " on "
"""What stands between a variant and the volume that it lay on: ``default on btrfs``."""

_SETTING_FIELDS: Final = (
    "durability", "stages", "batch_bytes", "read_objects", "delete_mode", "reclaim_modes",
    "cache", "rest", "deadline_s", "volume_bytes", "arrivals",
)  # fmt: skip
_DATASET_FIELDS: Final = (
    "logical_bytes", "object_bytes", "seed", "source", "sizes", "multiplicity",
    "compressibility_percent", "copies", "vary",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """What cells and their control have in common: everything declared but grade and distance.

    ``variant`` bears the settings that differ inside the run in brackets, so
    that unlike cells never share a name (``default [object_bytes=4096]``), and the
    volume where there is one (``default on btrfs``). ``rate_per_s`` is None for closed loops;
    ``clients`` did at once what goes object by object.
    """

    system: str
    variant: str
    payload: str
    layout: str
    placement: str
    rate_per_s: float | None = None
    clients: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """All repetitions of one grade and distance of a series; ``cells`` includes those that failed.

    ``refusal`` is not OK where no cell counts, or where the cells must not be
    averaged since they ran on unlike versions, configurations or data.
    """

    series: Series
    grade_percent: int
    distance: str | int
    cells: tuple[CellResult, ...]
    refusal: Outcome = OK

    @property
    def grade_asked(self) -> str:
        """The asked grade as it is written: ``U90``."""
        return f"U{self.grade_percent}"

    @property
    def counting(self) -> tuple[CellResult, ...]:
        """The cells that count."""
        return tuple(cell for cell in self.cells if cell.outcome.ok) if self.refusal.ok else ()

    @property
    def grade_achieved(self) -> float | None:
        """The share of duplicate bytes by the manifest, 0 to 1."""
        manifests = (cell.bulk_manifest for cell in self.cells)
        return next((found.grade_achieved for found in manifests if found), None)


def grouped(results: Iterable[CellResult]) -> tuple[Group, ...]:
    """Sort cells into groups, in the order system, variant, payload, grade, distance."""
    found = sorted(results, key=lambda result: result.cell.repetition)
    labels = _variant_labels([result.cell for result in found])
    buckets: dict[tuple[Series, int, str | int], list[CellResult]] = defaultdict(list)
    for result in found:
        cell = result.cell
        spec = cell.bulk
        variant = labels[_visible(cell), _settings_hash(cell)]
        variant += f"{ON}{cell.volume}" if cell.volume != "none" else ""
        series = Series(
            *(cell.system, variant, spec.payload, cell.layout, spec.placement),
            cell.rate_per_s,
            cell.clients,
        )
        distance = spec.distance if not isinstance(spec.distance, tuple) else spec.distance_name
        buckets[series, spec.grade_percent, distance].append(result)
    groups = [
        Group(series, grade, distance, tuple(cells), _refusal(cells))
        for (series, grade, distance), cells in buckets.items()
    ]
    return tuple(sorted(groups, key=_group_order))


def controls(groups: Sequence[Group]) -> dict[Series, Group]:
    """Return the U0 group of each series; it serves all its grades and distances."""
    return {group.series: group for group in groups if group.grade_percent == 0}


def comparable(group: Group, control: Group) -> Outcome:
    """Say whether a group and its control ran on the same version and configuration."""
    return _same_identity([*group.counting, *control.counting], "the cells and their U0 control")


def _refusal(cells: Sequence[CellResult]) -> Outcome:
    counting = [cell for cell in cells if cell.outcome.ok]
    if not counting:
        return cells[0].outcome
    digests = {cell.bulk_manifest.digest for cell in counting if cell.bulk_manifest}
    if len(digests) > 1:
        return Outcome(OutcomeKind.INVALID, "the repetitions hold different data")
    return _same_identity(counting, "the repetitions")


def _same_identity(cells: Sequence[CellResult], who: str) -> Outcome:
    identities = [cell.identity for cell in cells if cell.identity is not None]
    versions = sorted({f"{identity.product} {identity.version}" for identity in identities})
    if len(versions) > 1:
        reason = f"{who} ran on different versions, never averaged: {', '.join(versions)}"
        return Outcome(OutcomeKind.INVALID, reason)
    differing = sorted(
        name
        for name in {name for identity in identities for name in identity.configuration}
        if len({identity.configuration.get(name) for identity in identities}) > 1
    )
    if differing:
        reason = f"{who} ran with different configurations, never averaged: {', '.join(differing)}"
        return Outcome(OutcomeKind.INVALID, reason)
    return OK


def _variant_labels(cells: Sequence[Cell]) -> dict[tuple[tuple[Any, ...], str], str]:
    """Name variants so that the settings which differ between otherwise equal cells show."""
    seen: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = defaultdict(dict)
    for cell in cells:
        seen[_visible(cell)][_settings_hash(cell)] = settings_of(cell)
    labels = {}
    for visible, by_hash in seen.items():
        everyone = list(by_hash.values())
        differing = [key for key in everyone[0] if len({hash_of(one[key]) for one in everyone}) > 1]
        for digest, settings in by_hash.items():
            remark = ", ".join(f"{key}={settings[key]}" for key in differing)
            labels[visible, digest] = f"{visible[1]} [{remark}]" if remark else visible[1]
    return labels


def _visible(cell: Cell) -> tuple[Any, ...]:
    return (
        cell.system,
        cell.variant,
        cell.bulk.payload,
        cell.layout,
        cell.bulk.placement,
        cell.volume,
        cell.rate_per_s,
        cell.clients,
    )


def settings_of(cell: Cell) -> dict[str, Any]:
    """Return what a cell declares beside what its series, grade and distance say."""
    declared = dataclasses.asdict(cell)
    settings = {name: declared[name] for name in _SETTING_FIELDS}
    settings |= {name: declared["bulk"][name] for name in _DATASET_FIELDS}
    insert = declared["insert"] or {}
    settings |= {f"insert_{name}": insert.get(name) for name in _DATASET_FIELDS}
    return settings


def _settings_hash(cell: Cell) -> str:
    return hash_of(settings_of(cell))


def _group_order(group: Group) -> tuple[Any, ...]:
    *names, rate_per_s, clients = dataclasses.astuple(group.series)
    return (*names, rate_per_s or 0, clients, group.grade_percent, str(group.distance))
