"""The key replicas of a plan: what it means, and that a plan without it is what it was."""

from __future__ import annotations

import pytest

from deduplab import config
from deduplab.bench import matrix
from deduplab.bench.estimate import instance_bytes
from deduplab.cli.progress import kind_of
from deduplab.errors import PlanError
from tests.unit.test_config import SMALL, parse
from tests.unit.test_rate_table import TEXT, cells_of

THREE = ('"rated"', '"rated"\nreplicas = 3')


def test_identities_of_plans_without_replicas_stay_what_they_were() -> None:
    """Those of deduplab before there were several: one replica is no input that was declared."""
    plan = parse(SMALL)
    assert plan.digest == "c6e24466324cc90a"
    assert matrix.cells(plan)[0].cell_id == "0517c63c072dcf3f156e"
    told = parse(SMALL.replace("[data]", "replicas = 1\n[data]", 1))
    assert told.digest == plan.digest
    assert matrix.cells(told) == matrix.cells(plan)


def test_replicas_are_an_input_of_the_cell_and_a_factor() -> None:
    without = {cell.cell_id for cell in cells_of()}
    three = {cell.cell_id for cell in cells_of(THREE)}
    assert without.isdisjoint(three)
    both = cells_of(THREE, ("replicas = 3", "replicas = [1, 3]"))
    assert {cell.cell_id for cell in both} == without | three
    by_clients = cells_of(THREE, ("replicas = 3", "replicas = [1, 3]\nclients = [1, 4]"))
    assert {(cell.replicas, cell.clients) for cell in by_clients} == {
        (1, 1), (1, 4), (3, 1), (3, 4),
    }  # fmt: skip
    assert len(by_clients) == 4 * len(without)


def test_a_system_may_have_replicas_of_its_own() -> None:
    found = cells_of(("[systems.plain]", "[systems.plain]\nreplicas = [1, 2]"))
    assert {(cell.system, cell.replicas) for cell in found} == {
        ("plain", 1), ("plain", 2), ("sqlite", 1),
    }  # fmt: skip
    assert {cell.label for cell in found if cell.repetition == 1} == {
        "plain random_binary U0 unique #1",
        "plain with 2 replicas random_binary U0 unique #1",
        "sqlite random_binary U0 unique #1",
    }
    assert len({kind_of(cell) for cell in found}) == 3


def test_each_member_needs_a_disk_of_its_own() -> None:
    one, two = sorted(
        cells_of(
            ("[systems.plain]", "[systems.plain]\nreplicas = [1, 2]\nrepetitions = 1"),
            ("[systems.sqlite]\n", ""),
        ),
        key=lambda cell: cell.replicas,
    )
    assert instance_bytes(two) == 2 * instance_bytes(one)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("replicas = 0", ":2: replicas: must be 1 to 9 replicas, or a list of such, not 0"),
        ("replicas = 10", "must be 1 to 9 replicas, or a list of such, not 10"),
        ("replicas = true", "must be 1 to 9 replicas, or a list of such, not True"),
        ("replicas = []", "must name one value at least"),
        ("replicas = [1, 3, 1]", "names a value twice: 1, 3, 1"),
    ],
)
def test_what_is_no_number_of_replicas_is_refused(given: str, words: str) -> None:
    with pytest.raises(PlanError) as refused:
        cells_of(('"rated"', f'"rated"\n{given}'))
    assert words in str(refused.value)


def test_what_a_system_can_not_keep_is_refused_where_it_was_asked_for_by_name() -> None:
    with pytest.raises(PlanError, match="sqlite keeps one copy here, without replication"):
        cells_of(("[systems.sqlite]", "[systems.sqlite]\nreplicas = 2"))


def test_what_no_system_can_keep_is_refused() -> None:
    alone = TEXT.replace("[systems.plain]\n", "").replace('"rated"', '"rated"\nreplicas = 2')
    with pytest.raises(PlanError, match=r"plan\.toml:2: sqlite keeps one copy here"):
        config.parse(alone, origin="plan.toml")


def test_a_server_that_runs_already_has_the_replicas_that_it_has() -> None:
    remote = """
[systems.postgresql]
replicas = 2
[systems.postgresql.remote]
host = "h"
port = 1
user = "u"
"""
    with pytest.raises(PlanError, match="postgresql is remote: only ours has replicas"):
        config.parse(TEXT + remote, origin="plan.toml")
