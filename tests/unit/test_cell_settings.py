"""What tells cells apart that have the same name."""

from __future__ import annotations

import dataclasses

from deduplab import config
from deduplab.bench.matrix import cells
from deduplab.cell import Cell
from deduplab.cell_settings import OF_CELL, OF_DATASET, told_apart
from deduplab.dataset_spec import DatasetSpec
from deduplab.event import CellName, name_told
from tests.kubernetes.plans import SMALL

# What a name tells, by CellName or by the report; what hangs on it; and what changes no figure.
TOLD = {"system", "variant", "layout", "volume", "rate_per_s", "clients", "replicas", "repetition"}
OF_NO_FIGURE = {"bulk", "insert", "remote", "on_disk", "trace_hz"}
TOLD_OF_DATA = {"payload", "grade_percent", "distance", "key_prefix", "skip_bytes"}


def unfolded(*changes: tuple[str, str]) -> tuple[Cell, ...]:
    text = SMALL
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return cells(config.parse(text, origin="p.toml"))


def of(found: tuple[Cell, ...]) -> list[str]:
    return told_apart(found, name_told)


def test_where_nothing_differs_nothing_is_said() -> None:
    more = ("repetitions = 1", "repetitions = 3"), ('grades = ["U0"]', 'grades = ["U0", "U50"]')
    found = unfolded(*more, ('["adjacent"]', '["adjacent", "shuffled"]'))
    assert len(found) == 9
    assert set(of(found)) == {""}


def test_a_factor_that_no_name_tells_is_said_the_same_for_all_repetitions() -> None:
    more = (
        ("repetitions = 1", "repetitions = 3"),
        ("[data]", '[data]\nplacements = ["within", "across"]'),
    )
    found = unfolded(*more, ('"bulk", "read"', '"bulk", "insert"'))
    words = of(found)
    assert len(found) == 6
    assert words == [f"placement={cell.bulk.placement}" for cell in found]


def test_settings_are_told_of_those_alone_whose_names_are_the_same() -> None:
    (one,) = unfolded()
    other = dataclasses.replace(one, durability="none")
    elsewhere = dataclasses.replace(other, system="sqlite")
    assert of((one, other, elsewhere)) == [
        f"durability={one.durability}",
        "durability=none",
        "",
    ]


def test_several_settings_and_long_ones_stay_a_short_label() -> None:
    (one,) = unfolded()
    many = tuple((copies, 1) for copies in range(1, 40))
    bulk = dataclasses.replace(one.bulk, object_bytes=4096, multiplicity=many)
    words = of((one, dataclasses.replace(one, bulk=bulk)))
    assert words[0] == "object_bytes=8192, multiplicity=equal"
    assert words[1].startswith("object_bytes=4096, multiplicity=#")
    assert len(words[1]) < 50


def test_every_input_of_a_cell_is_told_or_is_a_setting() -> None:
    """A new one has to be in CellName, among the settings, or here with those of no figure."""
    inputs = {one.name for one in dataclasses.fields(Cell)}
    assert inputs == TOLD | OF_NO_FIGURE | set(OF_CELL)
    assert {one.name for one in dataclasses.fields(DatasetSpec)} == TOLD_OF_DATA | set(OF_DATASET)
    assert set(CellName.__struct_fields__) >= TOLD
