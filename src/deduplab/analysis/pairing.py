"""Pairs: which cells of two runs are set beside each other, by what they declare.

Cells belong together that say the same of system, variant, volume, payload, layout, placement,
rate, clients, replicas, grade and distance. Where several do, those with the same settings; where
one is left on each side, these two, with the settings that differ told. What is left over is told,
too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from deduplab.analysis.groups import ON, Group
from deduplab.analysis.lookup import Subject
from deduplab.cell import hash_of
from deduplab.cell_settings import settings_of


class Declared(NamedTuple):
    """What a group of cells declares, and is known by in any run."""

    system: str
    variant: str
    volume: str
    payload: str
    layout: str
    placement: str
    rate_per_s: float | None
    clients: int
    replicas: int
    grade: str
    distance: str | int

    @property
    def subject(self) -> Subject:
        """The subject, as tables name it."""
        on = "" if self.volume == "none" else f"{ON}{self.volume}"
        return Subject(
            *(self.system, f"{self.variant}{on}", self.payload, self.layout, self.placement),
            self.rate_per_s,
            self.clients,
            self.replicas,
        )

    @property
    def name(self) -> str:
        """The system with what it stored."""
        subject = self.subject
        distance = "" if self.distance == "none" else f" {self.distance}"
        return f"{subject.name}, {subject.data}, {self.grade}{distance}"


Key = Callable[[Group], Declared]


@dataclass(frozen=True, slots=True)
class Pair:
    """A group of each run; ``settings`` are those that differ, with their values in either."""

    declared: Declared
    first: Group
    second: Group
    settings: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Pairing:
    """All pairs, and the groups of either run that have no partner in the other."""

    pairs: tuple[Pair, ...]
    only_first: tuple[Group, ...]
    only_second: tuple[Group, ...]


def declared_of(group: Group) -> Declared:
    """Return what a group's cells declare."""
    cell, series = group.cells[0].cell, group.series
    return Declared(
        *(series.system, cell.variant, cell.volume, series.payload, series.layout),
        *(series.placement, series.rate_per_s, series.clients, series.replicas),
        *(group.grade_asked, group.distance),
    )


def paired(
    first: Iterable[Group],
    second: Iterable[Group],
    keys: tuple[Key, Key] = (declared_of, declared_of),
) -> Pairing:
    """Set the groups of two runs beside each other; ``keys`` say what those of either are known by.

    U0 without copies is a pair like any other.
    """
    sides: tuple[dict[Declared, list[Group]], dict[Declared, list[Group]]] = (
        defaultdict(list),
        defaultdict(list),
    )
    for found, key, groups in zip(sides, keys, (first, second), strict=True):
        for group in groups:
            found[key(group)].append(group)
    pairs: list[Pair] = []
    left: tuple[list[Group], list[Group]] = ([], [])
    for declared in dict.fromkeys([*sides[0], *sides[1]]):
        rest = _equal(declared, sides[0].get(declared, []), sides[1].get(declared, []), pairs)
        if len(rest[0]) == len(rest[1]) == 1:
            pairs.append(_pair(declared, rest[0][0], rest[1][0]))
            continue
        for side, groups in zip(left, rest, strict=True):
            side.extend(groups)
    return Pairing(tuple(pairs), tuple(left[0]), tuple(left[1]))


def _equal(
    declared: Declared, first: Sequence[Group], second: Sequence[Group], pairs: list[Pair]
) -> tuple[list[Group], list[Group]]:
    """Pair the groups whose settings are equal; return those that are left of either side."""
    others = {_settings_hash(group): group for group in second}
    left = []
    for group in first:
        partner = others.pop(_settings_hash(group), None)
        if partner is None:
            left.append(group)
        else:
            pairs.append(_pair(declared, group, partner))
    return left, list(others.values())


def _pair(declared: Declared, first: Group, second: Group) -> Pair:
    ours, theirs = (settings_of(group.cells[0].cell) for group in (first, second))
    differing = {
        name: (ours[name], theirs[name])
        for name in ours
        if hash_of(_plain(ours[name])) != hash_of(_plain(theirs[name]))
    }
    return Pair(declared, first, second, differing)


def _settings_hash(group: Group) -> str:
    return hash_of(settings_of(group.cells[0].cell))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
