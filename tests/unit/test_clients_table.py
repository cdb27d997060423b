"""The key clients of a plan: what it means, and that a plan without it is what it was."""

from __future__ import annotations

import pytest

from deduplab.bench import matrix
from deduplab.cli.progress import kind_of
from deduplab.errors import PlanError
from tests.unit.test_config import SMALL, parse
from tests.unit.test_rate_table import TEXT, cells_of

SEVERAL = ('"rated"', '"rated"\nclients = 4')


def test_identities_of_plans_without_clients_stay_what_they_were() -> None:
    """Those of deduplab before there were several: one client is no input that was declared."""
    plan = parse(SMALL)
    assert plan.digest == "c6e24466324cc90a"
    assert matrix.cells(plan)[0].cell_id == "0517c63c072dcf3f156e"
    told = parse(SMALL.replace("[data]", "clients = 1\n[data]", 1))
    assert told.digest == plan.digest
    assert matrix.cells(told) == matrix.cells(plan)


def test_clients_are_an_input_of_the_cell_and_a_factor() -> None:
    without = {cell.cell_id for cell in cells_of()}
    four = {cell.cell_id for cell in cells_of(SEVERAL)}
    assert without.isdisjoint(four)
    both = cells_of(SEVERAL, ("clients = 4", "clients = [1, 4]"))
    assert {cell.cell_id for cell in both} == without | four
    rated = cells_of(SEVERAL, ("clients = 4", 'clients = [1, 4]\nrates = ["closed", 500]'))
    assert {(cell.clients, cell.rate_per_s) for cell in rated} == {
        (1, None), (4, None), (1, 500.0), (4, 500.0),
    }  # fmt: skip
    assert len(rated) == 4 * len(without)


def test_a_system_may_have_clients_of_its_own() -> None:
    found = cells_of(SEVERAL, ("[systems.sqlite]", "[systems.sqlite]\nclients = [1, 2]\nrate = 9"))
    assert {(cell.system, cell.clients) for cell in found} == {
        ("plain", 4), ("sqlite", 1), ("sqlite", 2),
    }  # fmt: skip
    assert {cell.label for cell in found if cell.repetition == 1} == {
        "plain by 4 clients random_binary U0 unique #1",
        "sqlite at 9/s random_binary U0 unique #1",
        "sqlite at 9/s by 2 clients random_binary U0 unique #1",
    }
    assert len({kind_of(cell) for cell in found}) == 3


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("clients = 4", "clients = 0"), 2, "clients: must be 1 to 64 clients"),
        (("clients = 4", "clients = 65"), 2, "not 65"),
        (("clients = 4", "clients = 2.5"), 2, "not 2.5"),
        (("clients = 4", "clients = true"), 2, "not True"),
        (("clients = 4", "clients = []"), 2, "must name one value at least"),
        (("clients = 4", "clients = [4, 4]"), 2, "names a value twice: 4, 4"),
        (("clients = 4", "client = 4"), 2, "did you mean 'clients'"),
        (('"read", "insert", "delete"', '"reclaim"'), 2, "no stage of plain would be shared"),
        (("[systems.sqlite]", "[systems.sqlite]\nclients = -1"), 15, "clients: must be 1"),
    ],
)
def test_wrong_clients_are_refused_at_their_line(
    change: tuple[str, str], line: int, words: str
) -> None:
    text = TEXT.replace(*SEVERAL)
    assert change[0] in text
    with pytest.raises(PlanError, match=rf"^small\.toml:{line}: .*{words}"):
        parse(text.replace(*change))
