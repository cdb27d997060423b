"""A contrast: in what two runs differ besides their figures. It is told first.

Environments, versions of systems, their configurations, and settings of the cells that are set
beside each other. What changes from minute to minute is left out, as when a run is gone on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deduplab.analysis.groups import Group
from deduplab.analysis.pairing import Pair
from deduplab.run_header import RunHeader

_CHANGING: Final = frozenset({"workspace free", "load average at start"})
_NONE: Final = "none"
_LONG: Final = 80  # letters; what is longer is cut to the part that differs


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: of what kind, of what (a system, or empty), its name and values."""

    kind: str
    of: str
    name: str
    first: str
    second: str

    @property
    def words(self) -> str:
        """The difference as a part of a sentence."""
        of = f"{self.of}: " if self.of else ""
        first, second = _apart(self.first, self.second)
        return f"{of}{self.name} {first} in A, {second} in B"


def differences(
    first: RunHeader, second: RunHeader, pairs: Iterable[Pair]
) -> tuple[Difference, ...]:
    """Return all in which two runs differ, each thing once; empty where they are alike."""
    found = [*_plans(first, second), *_environments(first.environment, second.environment)]
    for pair in pairs:
        found += _systems(pair)
        found += [
            Difference("setting", pair.declared.subject.name, name, _words(ours), _words(theirs))
            for name, (ours, theirs) in pair.settings.items()
        ]
    return tuple(dict.fromkeys(found))


def _plans(first: RunHeader, second: RunHeader) -> Iterable[Difference]:
    told = {"scale": (str(first.scale), str(second.scale))}
    if first.plan_name != second.plan_name:
        told["name"] = (first.plan_name, second.plan_name)
    elif first.plan_digest != second.plan_digest:
        told["digest"] = (first.plan_digest[:12], second.plan_digest[:12])
    for name, (ours, theirs) in told.items():
        if ours != theirs:
            yield Difference("plan", "plan", name, ours, theirs)


def _environments(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[Difference]:
    ours, theirs = _flat(first), _flat(second)
    for name in sorted({*ours, *theirs} - _CHANGING):
        values = ours.get(name, _NONE), theirs.get(name, _NONE)
        if values[0] != values[1]:
            yield Difference("environment", "", name, *values)


def _systems(pair: Pair) -> Iterable[Difference]:
    """Yield what the systems of a pair say of themselves: version, configuration."""
    name = pair.declared.subject.name
    ours, theirs = (_identity(group) for group in (pair.first, pair.second))
    for key in sorted({*ours, *theirs}):
        values = ours.get(key, _NONE), theirs.get(key, _NONE)
        if ours and theirs and values[0] != values[1]:
            kind = "version" if key == "version" else "configuration"
            yield Difference(kind, name, key, *values)


def _identity(group: Group) -> dict[str, str]:
    """Return version and configuration of the first cell that counts; nothing where none does."""
    identity = next((cell.identity for cell in group.counting if cell.identity), None)
    if identity is None:
        return {}
    return {**identity.configuration, "version": f"{identity.product} {identity.version}"}


def _flat(environment: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in environment.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name} ")
        elif value is not None:
            found[f"{prefix}{name}"] = _words(value)
    return found


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_words(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or _NONE
    return _NONE if value is None else str(value)


def _apart(first: str, second: str) -> tuple[str, str]:
    """Return two texts, of long ones the words from where they differ to where they are alike."""
    if max(len(first), len(second)) <= _LONG:
        return first, second
    ours, theirs = first.split(" "), second.split(" ")
    start = _alike(ours, theirs)
    end = _alike(ours[start:][::-1], theirs[start:][::-1])
    return _part(ours, start, end), _part(theirs, start, end)


def _alike(first: list[str], second: list[str]) -> int:
    """Return how many words are the same from the beginning on."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))


def _part(words: list[str], start: int, end: int) -> str:
    """Return words without so many at either end, and that some were left out."""
    part = " ".join(words[start : len(words) - end])
    if len(part) > _LONG:
        part = f"{part[:_LONG]}…"
    return f"{'… ' if start else ''}{part or '(nothing)'}{' …' if end else ''}"
