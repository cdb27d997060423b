"""The settings of a cell that its name does not tell, and which of them tell cells apart.

A name has what people choose cells by: system, payload, grade. Two cells of one name may still
differ, in durability or the size of objects, and must not be taken for each other.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from deduplab.cell import Cell, hash_of

OF_CELL: Final = (
    "durability", "stages", "batch_bytes", "read_objects", "delete_mode", "reclaim_modes",
    "cache", "rest", "deadline_s", "volume_bytes", "arrivals",
)  # fmt: skip
OF_DATASET: Final = (
    "logical_bytes", "object_bytes", "placement", "seed", "source", "sizes", "multiplicity",
    "compressibility_percent", "copies", "vary",
)  # fmt: skip

_INSERT: Final = "insert_"
_LONGEST: Final = 64
_DIGITS: Final = 8


def told_apart(cells: Sequence[Cell], name: Callable[[Cell], Hashable]) -> list[str]:
    """Return of each cell the settings that tell it from the others of its name.

    That is ``object_bytes=4096, placement=across``, the same for all repetitions; empty where
    all cells of a name have the same. A value that is long is given by a digest.
    """
    settings = [settings_of(cell) for cell in cells]
    digests = [hash_of(one) for one in settings]
    names = [name(cell) for cell in cells]
    unlike: dict[Hashable, dict[str, dict[str, Any]]] = defaultdict(dict)
    for own_name, digest, own in zip(names, digests, settings, strict=True):
        unlike[own_name][digest] = own
    words = {
        (own_name, digest): text
        for own_name, those in unlike.items()
        for digest, text in _words(those).items()
    }
    return [words[key] for key in zip(names, digests, strict=True)]


def settings_of(cell: Cell) -> dict[str, Any]:
    """Return what a cell declares beside what its name tells, by key."""
    declared = dataclasses.asdict(cell)
    settings = {name: declared[name] for name in OF_CELL}
    settings |= {name: declared["bulk"][name] for name in OF_DATASET}
    insert = declared["insert"] or {}
    return settings | {f"{_INSERT}{name}": insert.get(name) for name in OF_DATASET}


def _words(those: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Word what differs among settings, by their digests."""
    everyone = list(those.values())
    differing = [key for key in everyone[0] if len({hash_of(one[key]) for one in everyone}) > 1]
    shown = [key for key in differing if not _follows(key, everyone)]
    return {
        digest: ", ".join(f"{key}={_short(own[key])}" for key in shown)
        for digest, own in those.items()
    }


def _follows(key: str, everyone: Sequence[dict[str, Any]]) -> bool:
    """Whether a setting of the insert stage is everywhere that of bulk, which is shown."""
    of_bulk = key.removeprefix(_INSERT)
    return key != of_bulk and all(one[key] == one[of_bulk] for one in everyone)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"#{hash_of(value)[:_DIGITS]}"
