"""Replicas from the plan to the figures: Redis (as Valkey) and MariaDB by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from deduplab.errors import SystemUnavailable
from deduplab.store import Run
from tests.end_to_end.conftest import Cli

Missing = Callable[[str, Exception], NoReturn]

PLAN = """\
name = "replicas"
repetitions = 1
replicas = [1, 3]
stages = ["bulk", "read"]
[data]
payloads = ["random_binary"]
grades = ["U50"]
distances = ["shuffled"]
logical_size = "4 MiB"
object_size = "8 KiB"
read_objects = 8
[rest]
window_s = 0.1
interval_s = 0.02
deadline_s = 40
[systems.{system}]
"""


def _rows(run: Cli) -> list[dict[str, Any]]:
    """Return the figures of the files of bulk at rest."""
    found = json.loads(run("report", "latest", "--json").stdout)
    rows: list[dict[str, Any]] = found["rows"] if isinstance(found, dict) else found
    return [
        row
        for row in rows
        if row["ruler"] == "allocated" and (row["stage"], row["moment"]) == ("bulk", "rest")
    ]


def _value(rows: list[dict[str, Any]], metric: str, layer: str, replicas: int) -> float:
    (row,) = [
        row
        for row in rows
        if (row["metric"], row["layer"], row["replicas"]) == (metric, layer, replicas)
    ]
    assert row["outcome"] == "OK", row
    return float(row["value"])


@pytest.mark.server
@pytest.mark.parametrize("system", ["redis", "mariadb"])
def test_three_replicas_cost_three_times_what_one_does(
    cli: Cli, tmp_path: Path, not_brought_up: Missing, system: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(system=system))
    done = cli("run", plan)
    (root,) = (tmp_path / "runs").iterdir()
    if not list(Run.open(root).cells()):
        not_brought_up(system, SystemUnavailable(done.stderr))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = _rows(cli)
    alone = _value(rows, "edr", "FILES", 1)
    assert not [row for row in rows if row["layer"] == "REPLICAS" and row["replicas"] == 1]
    assert _value(rows, "physical_copies", "REPLICAS", 3) == 3
    assert _value(rows, "edr", "FILES", 3) == pytest.approx(alone, rel=0.01)
    assert _value(rows, "edr", "REPLICAS", 3) * 3 == pytest.approx(alone, rel=0.01)
    assert _value(rows, "edr_replica", "REPLICAS", 3) == pytest.approx(alone, rel=0.01)
