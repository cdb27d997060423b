"""The instrument on stores with known answers, and known facts about real engines, end to end.

One small campaign through the command line; what it must find is written down
here as bounds, not as figures: the facts, not this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PLAN = Path(__file__).parents[2] / "plans" / "quick.toml"

Find = Callable[..., float]


@pytest.fixture(scope="module")
def campaign(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[list[dict[str, Any]], Path]]:
    """The quick plan with random bytes alone, no U50, and one repetition of everything."""
    directory = tmp_path_factory.mktemp("campaign")
    text = PLAN.read_text().replace("repetitions = 2", "repetitions = 1")
    text = text.replace('"random_binary", "text_document"', '"random_binary"')
    (directory / "plan.toml").write_text(text.replace('"U0", "U50", "U90"', '"U0", "U90"'))
    workspace = Path("/var/tmp") / f"deduplab-test-{os.getpid()}-facts"

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "deduplab", *arguments],
            cwd=directory,
            env={**os.environ, "DEDUPLAB_WORKSPACE": str(workspace)},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("run", "plan.toml")
    rows = json.loads(call("report", "latest", "--json"))
    page = next((directory / "runs").glob("*/report.html"))
    yield rows, page
    workspace.rmdir()


@pytest.fixture(scope="module")
def find(campaign: tuple[list[dict[str, Any]], Path]) -> Find:
    def value(system: str, metric: str, **wanted: str | None) -> float:
        defaults = {"variant": None, "stage": "bulk", "moment": "rest", "layer": "FILES"}
        chosen = {**defaults, "ruler": "allocated", "metric": metric, "system": system, **wanted}
        if "distance" in wanted:
            chosen["grade_asked"] = "U90"
        found = [
            row
            for row in campaign[0]
            if all(row[name] == given for name, given in chosen.items() if given is not None)
        ]
        assert len(found) == 1, (chosen, found)
        assert found[0]["outcome"] == "OK", found[0]
        return float(found[0]["value"])

    return value


BOTH = ("adjacent", "shuffled")
MOMENTS = ("flush", "rest", "reclaim")


def eta(find: Find, system: str, distance: str, moment: str = "rest", **more: str) -> float:
    return find(system, "dedup_efficiency", distance=distance, moment=moment, **more)


@pytest.mark.parametrize("distance", BOTH)
def test_the_reference_stores_come_out_as_they_must(find: Find, distance: str) -> None:
    assert eta(find, "plain", distance) == pytest.approx(0, abs=0.01)
    assert eta(find, "compressed", distance) == pytest.approx(0, abs=0.01)
    assert eta(find, "single_instance", distance) == pytest.approx(1, abs=0.02)  # with its index
    assert eta(find, "chunked", distance) == pytest.approx(1, abs=0.02)


def test_the_report_says_on_its_first_page_that_calibration_holds(
    campaign: tuple[list[dict[str, Any]], Path],
) -> None:
    page = campaign[1].read_text()
    assert "Calibration passed" in page
    assert page.index("Calibration passed") < page.index("The answer by system")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("distance", BOTH)
@pytest.mark.parametrize("system", ["sqlite", "rocksdb", "postgresql"])
def test_these_save_no_copy(find: Find, system: str, distance: str, moment: str) -> None:
    assert eta(find, system, distance, moment) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("system", "variant"), [("duckdb", "default"), ("clickhouse", "mergetree")]
)
def test_these_save_copies_only_while_they_are_near(
    find: Find, system: str, variant: str, moment: str
) -> None:
    assert eta(find, system, "adjacent", moment, variant=variant) > 0.9
    assert eta(find, system, "shuffled", moment, variant=variant) < 0.15


def test_by_hash_a_part_goes_at_ingestion_and_the_rest_by_the_merge(find: Find) -> None:
    adjacent, shuffled = (
        [eta(find, "clickhouse", distance, m, variant="replacing-by-hash") for m in MOMENTS]
        for distance in BOTH
    )
    assert min(adjacent) > 0.9
    assert 0.5 < shuffled[0] < 0.95
    assert shuffled[2] > 0.95
    assert shuffled[2] - shuffled[0] > 0.05


def test_deleted_is_not_reclaimed_until_vacuum_full(find: Find) -> None:
    after_delete = find("postgresql", "reclaimed", stage="delete", distance="shuffled")
    after_full = find(
        "postgresql",
        "reclaimed",
        stage="reclaim",
        moment="reclaim",
        mode="vacuum-full",
        distance="shuffled",
    )
    assert after_delete < 0.05
    assert after_full > 0.95


def test_the_report_says_what_went_when(campaign: tuple[list[dict[str, Any]], Path]) -> None:
    page = campaign[1].read_text()
    assert "Copies inside one inserted block go at ingestion" in page
    assert "Compression, not deduplication" in page
