"""The keys of a rate in a plan: what they mean, and that a plan without them is what it was."""

from __future__ import annotations

import pytest

from deduplab import config
from deduplab.bench import matrix, preflight
from deduplab.bench.estimate import duration_s
from deduplab.cell import Cell
from deduplab.cli.progress import kind_of
from deduplab.errors import PlanError
from tests.unit.test_config import QUICK, SMALL, parse

TEXT = """\
name = "rated"
stages = ["bulk", "read", "insert", "delete"]

[data]
payloads = ["random_binary"]
grades = ["U0"]
logical_size = "1 MiB"
object_size = "8 KiB"
insert_share = "50 %"
read_objects = 100

[systems.plain]
[systems.sqlite]
"""
RATE = ('"rated"', '"rated"\nrate = 500')


def cells_of(*changes: tuple[str, str]) -> tuple[Cell, ...]:
    text = TEXT
    for change in changes:
        text = text.replace(*change)
    return matrix.cells(parse(text))


def test_identities_of_plans_without_a_rate_stay_what_they_were() -> None:
    """These are of deduplab before there was a rate: runs of then are gone on with, and reused."""
    plan = parse(SMALL)
    assert plan.digest == "c6e24466324cc90a"
    assert [cell.cell_id for cell in matrix.cells(plan)][:3] == [
        "0517c63c072dcf3f156e",
        "0f41d18c252fb26ae4bd",
        "ef7d5db78f41651f3899",
    ]
    quick = config.parse(QUICK, origin="quick.toml")
    assert quick.digest == "1c3736f707e6c2a4"
    assert matrix.cells(quick)[0].cell_id == "bb5fb769e3a9ab9423e5"


def test_a_rate_is_an_input_of_the_cell_and_closed_ones_of_a_list_are_as_without() -> None:
    without = {cell.cell_id for cell in cells_of()}
    with_rate = {cell.cell_id for cell in cells_of(RATE)}
    assert without.isdisjoint(with_rate)
    several = cells_of(('"rated"', '"rated"\nrates = ["closed", 500]\narrivals = "constant"'))
    assert {cell.cell_id for cell in several} == without | with_rate
    poisson = cells_of(RATE, ("rate = 500", 'rates = ["closed", 500]\narrivals = "poisson"'))
    assert {cell.cell_id for cell in poisson if cell.rate_per_s is None} == without
    assert with_rate.isdisjoint(cell.cell_id for cell in poisson)


def test_a_system_may_have_rates_of_its_own() -> None:
    found = cells_of(RATE, ("[systems.sqlite]", '[systems.sqlite]\nrates = ["closed", 50]'))
    rates = {(cell.system, cell.rate_per_s) for cell in found}
    assert rates == {("plain", 500.0), ("sqlite", None), ("sqlite", 50.0)}
    assert {cell.label for cell in found if cell.repetition == 1} == {
        "plain at 500/s random_binary U0 unique #1",
        "sqlite random_binary U0 unique #1",
        "sqlite at 50/s random_binary U0 unique #1",
    }


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("rate = 500", "rate = 0"), 2, "rate: must be 0.1 to 1000000 operations a second"),
        (("rate = 500", "rate = nan"), 2, "must be 0.1 to"),
        (("rate = 500", "rate = inf"), 2, "must be 0.1 to"),
        (("rate = 500", "rate = true"), 2, "must be 0.1 to"),
        (("rate = 500", 'rate = "fast"'), 2, "'closed' for a closed loop, not 'fast'"),
        (("rate = 500", "rates = []"), 2, "at least one entry"),
        (("rate = 500", "rates = [500, 500.0]"), 2, "names something twice"),
        (("rate = 500", "rate = 500\nrates = [5]"), 3, "not both"),
        (("rate = 500", "rte = 500"), 2, "did you mean 'rate'"),
        (("rate = 500", 'rate = 5\narrivals = "random"'), 3, "unknown way to arrive 'random'"),
        (("rate = 500", 'arrivals = "poisson"'), 2, "'arrivals' needs a 'rate'"),
        (('"read", "insert", "delete"', '"reclaim"'), 2, "no stage of plain would keep a rate"),
        (
            ("[systems.sqlite]", "[systems.sqlite]\nrate = -1"),
            15,
            "must be 0.1 to",
        ),
    ],
)
def test_a_wrong_rate_is_refused_at_its_line(
    change: tuple[str, str], line: int, message: str
) -> None:
    with pytest.raises(PlanError) as refusal:
        parse(TEXT.replace(*RATE).replace(*change))
    assert str(refusal.value).startswith(f"small.toml:{line}:")
    assert message in str(refusal.value)


def test_truncating_is_no_operation_on_an_object() -> None:
    text = TEXT.replace('"bulk", "read", "insert", "delete"', '"bulk", "delete"')
    text = text.replace("[systems.plain]\n", "")
    parse(text.replace("[systems.sqlite]", "[systems.sqlite]\nrate = 5"))
    truncated = text.replace("[systems.sqlite]", '[systems.sqlite]\ndelete = "truncate"\nrate = 5')
    with pytest.raises(PlanError, match=r"small\.toml:14: no stage of sqlite would keep a rate"):
        parse(truncated)


def test_a_schedule_longer_than_the_deadline_is_refused_with_what_takes_so_long() -> None:
    """128 objects of bulk, 64 of insert, 100 reads, and 192 deletions: 356 in all."""
    slow = TEXT.replace('"rated"', '"rated"\nrate = 4\ncell_deadline_s = 80')
    with pytest.raises(PlanError) as refusal:
        preflight.check(parse(slow))
    words = str(refusal.value)
    assert words.startswith("plain at 4/s random_binary U0") or words.startswith("sqlite at 4/s")
    assert "its operations take 1:29 min (read 25.0 s, insert 16.0 s, delete 48.0 s)" in words
    assert "and a cell has 1:20 min: raise 'rate' or 'cell_deadline_s'" in words
    assert len(preflight.check(parse(slow.replace("= 80", "= 90"))).cells) == 6


def test_the_time_that_is_foretold_contains_the_schedule() -> None:
    closed, paced = cells_of()[0], cells_of(('"rated"', '"rated"\nrate = 4'))[0]
    assert closed.bulk == paced.bulk
    assert duration_s(paced) == pytest.approx(duration_s(closed) + 356 / 4)
    assert kind_of(paced) == (*kind_of(closed), "4/s")
