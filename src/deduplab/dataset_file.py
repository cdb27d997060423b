"""A dataset's specification as a TOML file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from deduplab import data_table
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import PAYLOADS, PLACEMENTS
from deduplab.errors import PlanError
from deduplab.toml_table import Table, boolean, choice, integer, string
from deduplab.units import parse_bytes, parse_percent


def load(path: Path) -> DatasetSpec:
    """Read a specification: the keys of a plan's ``[data]``, each with one value.

    Raises
    ------
    PlanError
        With file, line, and the nearest valid name.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"the specification {path} can't be read: {error}") from error
    except ValueError as error:  # numbers of very many digits are no TOMLDecodeError
        raise PlanError(f"{path}: not valid TOML: {error}") from error
    table = Table(document, (), text, str(path))
    object_bytes, sizes = data_table.object_sizes(table)
    grade_percent = table.take("grade", _grade, default=0)
    spec = DatasetSpec(
        payload=table.take("payload", choice("payload", tuple(PAYLOADS))),
        logical_bytes=table.take("logical_size", parse_bytes),
        object_bytes=object_bytes,
        grade_percent=grade_percent,
        distance=table.take(
            "distance", data_table.distance, default="shuffled" if grade_percent else "none"
        ),
        placement=table.take("placement", choice("placement", PLACEMENTS), default="within"),
        seed=table.take("seed", integer(0), default=1),
        key_prefix=table.take("key_prefix", string, default="o"),
        source=table.take("source", string, default=None),
        sizes=sizes,
        multiplicity=data_table.multiplicity(table, path.parent),
        compressibility_percent=data_table.compressibility(table),
        copies=data_table.copies(table),
        vary=table.take("vary", boolean, default=False),
    )
    table.finish()
    return spec


def _grade(value: Any) -> int:
    """Convert ``U50``, ``50 %`` or 50."""
    short = re.fullmatch(r"U?([0-9]{1,3})", value) if isinstance(value, str) else None
    percent = parse_percent(int(short.group(1)) if short else value)
    if percent > 99:
        raise PlanError(f"a grade lies between 0 and 99, not at {percent}")
    return percent
