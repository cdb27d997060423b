"""The registry: names to classes, imported late, so that a missing driver costs one system only.

Third parties add a system by an entry point in the group ``deduplab.systems``
whose value is a :class:`SystemEntry`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Final

from deduplab._built_in_systems import BUILT_IN
from deduplab.errors import PlanError, SystemUnavailable, unknown_name
from deduplab.system_entry import SystemEntry

__all__ = ["ENTRY_POINT_GROUP", "SystemEntry", "driver_missing", "system", "systems"]

ENTRY_POINT_GROUP: Final = "deduplab.systems"


@cache
def systems() -> dict[str, SystemEntry]:
    """Return all systems by name: built in first, then those of entry points.

    Raises
    ------
    PlanError
        If an entry point can't be loaded, is no system, or takes a name that exists.
    """
    found = {entry.name: entry for entry in BUILT_IN}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            entry = point.load()
        except (ImportError, AttributeError) as error:
            package = f"the package {point.dist.name!r}" if point.dist else "a package"
            raise PlanError(
                f"entry point {point.name!r} in {ENTRY_POINT_GROUP} can't be loaded "
                f"({point.value}: {error}); mend or remove {package} that declares it"
            ) from error
        if not isinstance(entry, SystemEntry) or entry.name in found:
            raise PlanError(
                f"entry point {point.name!r} in {ENTRY_POINT_GROUP} is not a SystemEntry "
                "or takes a name that exists"
            )
        found[entry.name] = entry
    return found


def system(name: str) -> SystemEntry:
    """Return the entry of a system.

    Raises
    ------
    PlanError
        If there is no such system; the message names the nearest one.
    """
    known = systems()
    if name not in known:
        raise PlanError(unknown_name("system", name, tuple(known)))
    return known[name]


def driver_missing(entry: SystemEntry, error: ImportError) -> SystemUnavailable:
    """Word the error of a driver that can't be imported."""
    return SystemUnavailable(
        f"{entry.name}: its driver {entry.driver!r} can't be imported ({error}); "
        f"install it with: pip install 'deduplab[{entry.extra}]'"
    )
