"""Names of fields out of the names of columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_NOT_ALLOWED: Final = re.compile(r"[^a-z0-9_]+")
_LONGEST: Final = 48


def field_names(columns: Iterable[str]) -> list[str]:
    """Return a distinct lower-case identifier for each column, as like its name as can be.

    Every system has to take them: other characters become ``_``, a digit in front gets ``c_``
    before it, ``key`` (the objects' own) becomes ``key_``, long names are cut, and equal ones
    numbered.
    """
    found: list[str] = []
    for number, column in enumerate(columns, start=1):
        name = _NOT_ALLOWED.sub("_", column.lower())[:_LONGEST].strip("_") or f"column_{number}"
        if not name[0].isalpha():
            name = f"c_{name}"
        if name == "key":
            name = "key_"
        base, again = name, 2
        while name in found:
            name = f"{base}_{again}"
            again += 1
        found.append(name)
    return found
