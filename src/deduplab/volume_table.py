"""The volume keys of a plan: on which file systems instances lie, how large, and the dedupe step.

``volume = "btrfs"`` (one) or ``volumes = ["none", "btrfs"]`` (a factor: every
cell once on each), ``volume_size``, and ``dedupe`` (``true``, ``"duperemove"`` or ``"blocks"``).
"""

from __future__ import annotations

from typing import Any, Final

from deduplab.dataset_spec import DatasetSpec
from deduplab.model import DEDUPE, DEDUPE_MODES
from deduplab.toml_table import Table, choice
from deduplab.units import GIB, format_bytes, parse_bytes
from deduplab.volumes import FILE_SYSTEMS, NONE

_BY_PROGRAM: Final = dict(zip(("duperemove", "blocks"), DEDUPE_MODES, strict=True))

KINDS: Final = (NONE, *FILE_SYSTEMS)

# Data, log, and a rewrite beside the old copy at the same time; and what an empty instance takes.
_FACTOR: Final = 4
_BASE_BYTES: Final = GIB


def volumes(root: Table) -> tuple[str, ...]:
    """Take ``volume`` or ``volumes``; ``("none",)`` where neither is given."""
    kind = choice("volume", KINDS)
    if "volume" in root.names() and "volumes" in root.names():
        raise root.error("volumes", "give 'volume' (one) or 'volumes' (a list), not both")
    several = root.take_list("volumes", kind, default=(NONE,))
    one = root.take("volume", kind, default=NONE)
    return (one,) if "volume" in root.names() else several


def volume_bytes(root: Table, kinds: tuple[str, ...]) -> int | None:
    """Take ``volume_size``, which every volume of the plan must be possible on; None if not given.

    Raises
    ------
    PlanError
        If it is too small for one of the kinds, or there is no volume.
    """
    size_bytes = root.take("volume_size", parse_bytes, default=0)
    if "volume_size" not in root.names():
        return None
    if kinds == (NONE,):
        raise root.error("volume_size", "'volume_size' needs a 'volume'")
    for kind in kinds:
        least_bytes = FILE_SYSTEMS[kind].least_bytes if kind in FILE_SYSTEMS else 0
        if size_bytes < least_bytes:
            raise root.error(
                "volume_size",
                f"a volume {kind!r} takes at least {format_bytes(least_bytes)}",
            )
    return size_bytes


def dedupe(root: Table, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Take ``dedupe``: the mode that shares the volume's blocks after maintenance, or none.

    Raises
    ------
    PlanError
        If no volume of the plan can share blocks.
    """
    mode = root.take("dedupe", _dedupe_mode, default=None)
    if mode is None:
        return ()
    check_dedupe(root, "dedupe", kinds)
    return (mode,)


def check_dedupe(table: Table, key: str, kinds: tuple[str, ...]) -> None:
    """Refuse the step dedupe in a plan without a volume that can share blocks."""
    able = tuple(kind for kind, entry in FILE_SYSTEMS.items() if entry.shares)
    if not any(kind in able for kind in kinds):
        raise table.error(
            key, f"{DEDUPE!r} shares blocks of a volume; give one that can: {', '.join(able)}"
        )


def _dedupe_mode(value: Any) -> str | None:
    if isinstance(value, bool):
        return DEDUPE if value else None
    return _BY_PROGRAM[choice("way to dedupe", tuple(_BY_PROGRAM))(value)]


def size_of(
    kind: str, asked_bytes: int | None, bulk: DatasetSpec, insert: DatasetSpec | None
) -> int:
    """Return the size of a cell's volume in bytes; 0 without one.

    Where the plan does not say: 1 GiB and four times the logical bytes. The image
    is sparse, so only what is written takes space.
    """
    if kind == NONE:
        return 0
    if asked_bytes is not None:
        return asked_bytes
    logical_bytes = bulk.logical_bytes + (insert.logical_bytes if insert else 0)
    return max(FILE_SYSTEMS[kind].least_bytes, _BASE_BYTES + _FACTOR * logical_bytes)
