"""A factor of a plan: one value or several, under one key or two, and where it was written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from deduplab.errors import PlanError
from deduplab.factor import Factor, whole
from deduplab.toml_table import Table

COPIES = Factor("copies", whole(64, "copies"), (1,))
PACE = Factor("pace", float, (0.5,), plural="paces")


def table(text: str) -> Table:
    return Table(tomllib.loads(text), (), text, "p.toml")


@pytest.mark.parametrize(
    ("factor", "text", "values"),
    [
        (COPIES, "", (7,)),
        (COPIES, "copies = 64", (64,)),
        (COPIES, "copies = [3, 1]", (3, 1)),
        (PACE, "", (7,)),
        (PACE, "pace = 2", (2.0,)),
        (PACE, "paces = [2, 0.25]", (2.0, 0.25)),
    ],
)
def test_one_value_or_several(factor: Factor[Any], text: str, values: tuple[float, ...]) -> None:
    found = table(text)
    assert factor.take(found, (7,)) == values
    found.finish()


def test_without_another_default_a_factor_has_its_own() -> None:
    assert COPIES.take(table("")) == (1,)
    assert PACE.take(table("")) == (0.5,)


@pytest.mark.parametrize(
    ("factor", "text", "words"),
    [
        (COPIES, "copies = 65", "p.toml:1: copies: must be 1 to 64 copies, or a list of such"),
        (COPIES, "copies = [2, true]", "not True"),
        (COPIES, "copies = [2, 2]", "names a value twice: 2, 2"),
        (COPIES, "copies = []", "must name one value at least"),
        (PACE, "pace = 1\npaces = [2]", r"p.toml:2: give 'pace' \(one\) or 'paces'"),
        (PACE, "paces = [1, 1.0]", "names something twice"),
        (PACE, "paces = 1", "must be a list"),
    ],
)
def test_what_is_no_value_is_refused_at_its_line(
    factor: Factor[Any], text: str, words: str
) -> None:
    with pytest.raises(PlanError, match=words):
        factor.take(table(text))


def test_an_error_is_placed_where_the_value_of_a_system_was_written() -> None:
    text = "paces = [1]\n[systems.a]\npace = 2\n[systems.b]\n"
    root = table(text)
    systems = root.table("systems")
    assert str(PACE.error(root, systems, "a", "no")) == "p.toml:3: no"
    assert str(PACE.error(root, systems, "b", "no")) == "p.toml:1: no"
