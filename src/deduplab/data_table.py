"""What a dataset's TOML table says of sizes, distances, multiplicity and copies.

Shared by plans (many datasets, as factors) and by single specifications.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deduplab.dataset_spec import CopySpec, SizeSpec
from deduplab.datasets import DISTANCES, EDIT_KINDS, FORMS
from deduplab.errors import DeduplabError, PlanError
from deduplab.toml_table import Table, choice, integer, some_bytes, string
from deduplab.units import parse_bytes, parse_percent

DEFAULT_SIGMA: Final = 1.0


def object_sizes(table: Table) -> tuple[int, SizeSpec]:
    """Take ``object_size``: bytes, or a table with ``kind`` and its limits.

    Returns
    -------
    int
        The fixed size, the middle (uniform), the median (lognormal), or about how
        long a piece is (natural), in bytes.
    SizeSpec
        How lengths are distributed.
    """
    if not table.holds_table("object_size"):
        return table.take("object_size", some_bytes), SizeSpec()
    own = table.table("object_size")
    kind = own.take("kind", choice("kind of sizes", ("uniform", "lognormal", "natural")))
    if kind == "natural":
        about_bytes = own.take("about", parse_bytes, default=64 * 1024)
        own.finish()
        return about_bytes, SizeSpec("natural")
    least, most = own.take("least", parse_bytes), own.take("most", parse_bytes)
    if kind == "uniform":
        own.finish()
        return (least + most) // 2, SizeSpec("uniform", least, most)
    median = own.take("median", parse_bytes)
    sigma = own.take("sigma", _number, default=DEFAULT_SIGMA)
    own.finish()
    return median, SizeSpec("lognormal", least, most, sigma)


def copies(table: Table) -> CopySpec:
    """Take ``copies``, an optional table: how the copies of a payload are made."""
    own = table.table("copies", optional=True)
    form = own.take("form", choice("form of copies", FORMS), default="exact")
    found = CopySpec(form)
    if form == "edited":
        found = CopySpec(
            form,
            edits=own.take("edits", integer(1), default=1),
            edit_bytes=own.take("edit_size", parse_bytes, default=1),
            edit_kinds=own.take_list(
                "kinds", choice("kind of edit", EDIT_KINDS), default=("replace",)
            ),
        )
    own.finish()
    return found


def compressibility(table: Table) -> int | None:
    """Take ``compressibility``, the share that zstd at level 1 is to take away; None without."""
    found: int | None = table.take("compressibility", parse_percent, default=None)
    return found


def multiplicity(table: Table, folder: Path) -> str | tuple[tuple[int, int], ...]:
    """Take ``multiplicity``: ``equal``, ``zipf``, pairs, or a file that ``scan --json`` wrote.

    A file's name is relative to ``folder``.
    """
    found: str | tuple[tuple[int, int], ...] = table.take(
        "multiplicity", _multiplicity_in(folder), default="equal"
    )
    return found


def distance(value: Any) -> str | int | tuple[int, ...]:
    """Convert one distance: a name, bytes, or a list of bytes that one dataset has in turn.

    Raises
    ------
    PlanError
        If it is none of these.
    """
    if isinstance(value, list) and value:
        return tuple(_bytes_of_distance(one) for one in value)
    if value in DISTANCES:
        return str(value)
    return _bytes_of_distance(value)


def _bytes_of_distance(value: Any) -> int:
    try:
        return parse_bytes(value)
    except DeduplabError as error:
        raise PlanError(
            f"unknown distance {value!r}; known: adjacent, shuffled, bytes such as '1 MiB', or a "
            "list of bytes"
        ) from error


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise PlanError(f"must be a number, not {value!r}")
    try:
        return float(value)
    except OverflowError as error:
        raise PlanError("must be a number that is not as large as that") from error


def _multiplicity_in(folder: Path) -> Callable[[Any], str | tuple[tuple[int, int], ...]]:
    def convert(value: Any) -> str | tuple[tuple[int, int], ...]:
        if value in ("equal", "zipf"):
            return str(value)
        if isinstance(value, list):
            return tuple(_pair(one) for one in value)
        if string(value).endswith(".json"):
            return _scanned(folder / value)
        raise PlanError(
            f"unknown multiplicity {value!r}; known: 'equal', 'zipf', a list of pairs "
            "[occurrences, payloads], or the name of a file that 'deduplab scan --json' wrote"
        )

    return convert


def _pair(value: Any) -> tuple[int, int]:
    whole = isinstance(value, list) and len(value) == 2 and all(type(n) is int for n in value)
    if not whole or value[0] < 1 or value[1] < 1:
        raise PlanError(f"{value!r} is not a pair [occurrences, payloads] of numbers from 1")
    return value[0], value[1]


def _scanned(path: Path) -> tuple[tuple[int, int], ...]:
    """Read the histogram of copies of whole objects from the output of ``scan --json``."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        grains = {one["grain"]: one for one in document["grains"]}
        pairs = grains["whole"]["copies"]
        return tuple((int(occurrences), int(payloads)) for occurrences, payloads in pairs)
    except OSError as error:
        raise PlanError(f"{str(path)!r} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(
            f"{str(path)!r} has no histogram of copies of whole objects; write it by "
            "'deduplab scan SOURCE --json'"
        ) from error
