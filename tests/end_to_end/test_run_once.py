"""``run --once``: the same command may be started twice, and measures once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Cli, write_plan


def told(cli: Cli, plan: Path, *more: str) -> dict[str, Any]:
    done = cli("run", plan, "--json", *more)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_finished_run_is_the_answer_wherever_it_was_begun(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    first = told(cli, plan, "--once")
    assert (first["cells"]["OK"], first["resumed_cells"]) == (3, 0)
    header = Path(first["directory"]) / "run.json"
    text = json.loads(header.read_text())
    text["environment"]["cpu"] = "another"
    header.write_text(json.dumps(text))
    second = told(cli, plan, "--once")
    assert second["run"] == first["run"]
    assert (second["cells"]["OK"], second["resumed_cells"]) == (0, 3)
    assert told(cli, plan)["run"] != first["run"], "without it a new run begins"


def test_an_unfinished_run_is_gone_on_with_and_one_of_another_host_is_not(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    first = told(cli, plan, "--once")
    directory = Path(first["directory"])
    shutil.rmtree(next((directory / "cells").iterdir()))
    second = told(cli, plan, "--once")
    assert second["run"] == first["run"]
    assert (second["cells"]["OK"], second["resumed_cells"]) == (1, 2)

    shutil.rmtree(next((directory / "cells").iterdir()))
    header = json.loads((directory / "run.json").read_text())
    header["environment"]["cpu"] = "another"
    (directory / "run.json").write_text(json.dumps(header))
    third = told(cli, plan, "--once")
    assert third["run"] != first["run"]
    assert third["cells"]["OK"] == 3


@pytest.mark.parametrize("other", [("--fresh",), ("--again",), ("--resume", "latest")])
def test_what_contradicts_it_is_refused(tmp_path: Path, cli: Cli, other: tuple[str, ...]) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    refused = cli("run", plan, "--once", *other)
    assert refused.returncode == 2
    assert f"--once and {other[0]} exclude each other" in refused.stderr
