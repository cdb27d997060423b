"""Two real runs side by side: SQLite and the plain store, given their data in other batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import Cli, write_plan

STAGES = 'stages = ["bulk", "insert"]'
VARIANTS = '[systems.sqlite]\nvariants = ["default", "unique-content"]\n[systems.plain]\n'


def measured(path: Path, batch: str, cli: Cli) -> str:
    """Run a plan with four repetitions and return the run's id."""
    plan = write_plan(path, [], repetitions=4)
    text = plan.read_text()
    for before, after in (
        ('["adjacent", "shuffled"]', '["shuffled"]'),
        ('batch_size = "64 KiB"', f'batch_size = "{batch}"'),
    ):
        assert before in text
        text = text.replace(before, after)
    lines = [STAGES if line.startswith("stages") else line for line in text.splitlines()]
    plan.write_text("\n".join([*lines, VARIANTS]))
    done = cli("run", plan, "--json", timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    assert outcome["cells"]["OK"] == 24
    return str(outcome["run"])


def test_another_setting_is_told_and_changes_no_cost_of_bytes(tmp_path: Path, cli: Cli) -> None:
    first = measured(tmp_path / "a.toml", "64 KiB", cli)
    second = measured(tmp_path / "b.toml", "16 KiB", cli)
    told = cli("compare", first, second, "--fail-on", "eta-0.05", "--fail-on", "u+5%")
    assert told.returncode == 0, told.stdout + told.stderr
    for name in ("plain", "sqlite", "sqlite/unique-content"):
        assert f"setting        {name}: batch_bytes 65536 in A, 16384 in B" in told.stdout
    assert "eta-0.05: broken by 0 of" in told.stdout

    (found,) = json.loads(cli("compare", first, second, "--json").stdout)
    plain = [one for one in found["figures"] if one["system"] == "plain"]
    stored = [one for one in plain if one["metric"] == "unique_cost"]
    assert stored
    for one in stored:
        assert (one["ratio"]["value"], one["verdict"]) == (1.0, "no difference shown")
    timed = [one for one in plain if one["metric"] == "latency_p50_ns"]
    assert {one["A"]["n"] for one in timed} == {4}
    assert {one["kind"] for one in found["differences"]} == {"plan", "setting"}
    assert all(
        one["ratio"]["low"] <= one["ratio"]["value"] <= one["ratio"]["high"] for one in timed
    )

    within = cli(
        *("compare", first, "--variants", "default,unique-content", "--metric", "eta"),
        *("--fail-on", "eta+0.5", "--html", tmp_path / "page.html"),
    )
    assert within.returncode == 11, within.stdout + within.stderr
    assert "sqlite/default to unique-content, random_binary, U50 shuffled" in within.stdout
    assert "beyond what --fail-on allows: eta+0.5" in within.stderr
    assert "unique-content" in (tmp_path / "page.html").read_text()


def test_a_paper_takes_the_numbers_of_a_real_run(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain"])
    assert cli("run", plan, "--json").returncode == 0
    done = cli("report", "latest", "--latex", tmp_path / "paper")
    assert done.returncode == 0, done.stderr
    macros = (tmp_path / "paper" / "macros.tex").read_text()
    assert "\\newcommand{\\dlPlainRandomBinaryUFiveZeroShuffledBulkRestEta}{0.00}" in macros
    assert "\\newcommand{\\dlPlainRandomBinaryUFiveZeroShuffledBulkRestEtaN}{1}" in macros
    (tmp_path / "paper" / "main.tex").write_text("mine now")
    refused = cli("report", "latest", "--latex", tmp_path / "paper")
    assert refused.returncode == 2
    assert "main.tex was not written by deduplab, or was changed since" in refused.stderr
