"""A factor of a plan: a key with one value, or with several, and then every cell once with each.

Given in the plan for all systems, or for one system, which goes before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deduplab.errors import PlanError
from deduplab.toml_table import Table

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Factor(Generic[_T]):
    """How a factor is written.

    Parameters
    ----------
    key
        Takes one value; without ``plural`` a list of them, too.
    read
        Reads one value, and refuses what is none.
    default
        The values where neither the plan nor a system names any.
    plural
        The key that takes a list, where that is another one: ``rates`` beside ``rate``.
    """

    key: str
    read: Callable[[Any], _T]
    default: tuple[_T, ...]
    plural: str = ""

    def take(self, table: Table, default: tuple[_T, ...] | None = None) -> tuple[_T, ...]:
        """Take the values from a table; where it has none those of ``default``, or its own.

        Raises
        ------
        PlanError
            At the line of the key.
        """
        default = self.default if default is None else default
        if not self.plural:
            return table.take(self.key, self._one_or_several, default=default)
        if {self.key, self.plural} <= set(table.names()):
            words = f"give {self.key!r} (one) or {self.plural!r} (a list), not both"
            raise table.error(self.plural, words)
        several = table.take_list(self.plural, self.read, default=())
        return table.take(self.key, lambda value: (self.read(value),), default=several or default)

    def error(self, root: Table, systems: Table, system: str, words: str) -> PlanError:
        """Return an error at the line that holds for a system: its own, or that of the plan."""
        own = systems.table(system)
        for table in (own, root):
            for key in (self.key, self.plural):
                if key in table.names():
                    return table.error(key, words)
        return root.error(self.key, words)

    def _one_or_several(self, value: Any) -> tuple[_T, ...]:
        found = tuple(map(self.read, value)) if isinstance(value, list) else (self.read(value),)
        if not found:
            raise PlanError("must name one value at least")
        if len(set(found)) < len(found):
            raise PlanError(f"names a value twice: {', '.join(map(str, found))}")
        return found


def whole(most: int, what: str) -> Callable[[Any], int]:
    """Return what reads whole numbers of something, 1 to ``most``, one at a time."""

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise PlanError(f"must be 1 to {most} {what}, or a list of such, not {value!r}")
        return value

    return read
