from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deduplab.cli.main import COMMANDS
from deduplab.runs_folder import find_run
from tests.end_to_end.conftest import Cli, command, environment, write_plan
from tests.faults.processes import inside

READY_DEADLINE_S = 60.0


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_of_each_command_has_an_example(name: str, cli: Cli) -> None:
    shown = cli(name, "--help")
    assert shown.returncode == 0
    assert f"deduplab {name}" in shown.stdout.split("Example")[1]


def test_a_run_ends_in_findings_and_a_report(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain", "single_instance", "sqlite"], repetitions=2)
    done = cli("run", plan)
    assert done.returncode == 0, done.stdout + done.stderr
    report = Path(done.stdout.strip().splitlines()[-1].removeprefix("report: "))
    assert "sqlite" in report.read_text()

    rows = json.loads(cli("report", "latest", "--json").stdout)
    eta = {
        row["system"]: row["value"]
        for row in rows
        if row["metric"] == "dedup_efficiency"
        and (row["stage"], row["moment"], row["layer"]) == ("bulk", "rest", "FILES")
        and (row["grade_asked"], row["distance"]) == ("U50", "shuffled")
        and row["ruler"] == "allocated"
    }
    assert eta["plain"] == pytest.approx(0, abs=0.01)
    assert eta["single_instance"] > 0.9


def test_a_finished_run_is_not_gone_on_with(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    outcomes = [json.loads(cli("run", plan, "--json").stdout) for _ in range(2)]
    assert outcomes[0]["run"] != outcomes[1]["run"]
    assert outcomes[1]["resumed_cells"] == 0
    assert outcomes[0]["cells"]["OK"] == 3
    again = json.loads(cli("run", plan, "--resume", outcomes[0]["run"], "--json").stdout)
    assert again["resumed_cells"] == 3


def test_a_run_has_traces_that_can_be_taken_along(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["sqlite"])
    assert cli("run", plan, "--json").returncode == 0
    found = json.loads(cli("trace", "--json").stdout)["traces"]
    assert len(found) == 3
    done = cli("trace", "latest", "--cell", found[0]["cell"], "--csv", "-")
    assert done.returncode == 0
    heading, *samples = done.stdout.splitlines()
    assert heading.startswith("at_s,stage,within,files_allocated_bytes,")
    assert len(samples) == found[0]["samples"]
    refused = cli("trace", "latest", "--cell", "none")
    assert refused.returncode == 2
    assert "no cell that was measured begins 'none'" in refused.stderr


def test_an_unknown_system_starts_nothing(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["sqlit"])
    refused = cli("run", plan)
    assert refused.returncode == 2
    assert "p.toml:20: unknown system 'sqlit'; did you mean 'sqlite'?" in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_too_small_a_disk_is_said_before_the_start(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain"])
    refused = cli("run", plan, "--scale", "10000000")
    assert refused.returncode == 4
    assert "are free" in refused.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("system", ["postgresql", "rocksdb"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_down_cleanly_and_goes_on(
    number: signal.Signals, system: str, tmp_path: Path, cli: Cli, workspace: Path
) -> None:
    plan = write_plan(tmp_path / "p.toml", [system], repetitions=3)
    process = subprocess.Popen(
        command("run", plan),
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore it, and so would the run, as it should then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + READY_DEADLINE_S
    while not _one_committed_and_one_up(tmp_path, workspace):
        assert time.monotonic() < deadline, "no cell was committed in time"
        assert process.poll() is None
    psutil.Process(process.pid).send_signal(number)
    _, errors = process.communicate(timeout=READY_DEADLINE_S)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "the same command goes on" in errors
    assert not inside(workspace)
    assert not list(workspace.glob("instance-*"))
    run = find_run(tmp_path / "runs", "latest")
    committed = run.committed_ids()
    assert 0 < len(committed) < len(run.header.cell_ids)
    assert all(cell.outcome.ok for cell in run.cells()), "the cell in hand was committed as failed"

    done = cli("run", plan)
    assert done.returncode == 0, done.stderr
    assert f"{len(committed)} of {len(run.header.cell_ids)} cells are committed" in done.stdout
    assert run.committed_ids() == set(run.header.cell_ids)
    assert all(cell.outcome.ok for cell in run.cells())


def _one_committed_and_one_up(tmp_path: Path, workspace: Path) -> bool:
    time.sleep(0.05)
    cells = list((tmp_path / "runs").glob("*/cells/[!.]*"))
    return bool(cells) and bool(list(workspace.glob("instance-*/instance/data")))


@pytest.mark.parametrize(("ignored", "code"), [(False, 130), (True, 3)])
def test_an_interrupt_while_it_is_imported_ends_without_a_word(
    ignored: bool, code: int, tmp_path: Path
) -> None:
    (tmp_path / "click.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(3)\n"
    )
    done = subprocess.run(
        command("list", "systems"),
        env=environment(tmp_path) | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL
        ),
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_a_cell_past_its_deadline_is_failed_and_the_others_go_on(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null", "postgresql"])
    # What stores nothing waits for no rest; the other one can't be done in time.
    slow = plan.read_text().replace("window_s = 0.05", "window_s = 2")
    plan.write_text(f"cell_deadline_s = 2.5\n{slow}")
    done = cli("run", plan)
    assert done.returncode == 7, done.stdout + done.stderr
    assert "not done within" in done.stderr
    outcomes = {
        (cell.cell.system, cell.outcome.kind.value)
        for cell in find_run(tmp_path / "runs", "latest").cells()
    }
    assert outcomes == {("null", "OK"), ("postgresql", "FAILED")}


def test_a_run_is_not_gone_on_with_in_another_environment(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    first = json.loads(cli("run", plan, "--json").stdout)
    directory = tmp_path / first["directory"]
    header = json.loads((directory / "run.json").read_text())
    header["environment"]["kernel"] = "another"
    (directory / "run.json").write_text(json.dumps(header))
    shutil.rmtree(next((directory / "cells").iterdir()))
    second = cli("run", plan)
    assert second.returncode == 0
    assert "kernel: another then" in second.stdout
    assert len(list((tmp_path / "runs").iterdir())) == 2
    refused = cli("run", plan, "--resume", first["run"])
    assert refused.returncode == 2
    assert "kernel: another then" in refused.stderr


def test_the_run_of_this_environment_is_gone_on_with_though_a_newer_one_is_not(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    first, second = (json.loads(cli("run", plan, "--json").stdout) for _ in range(2))
    for told in (first, second):
        shutil.rmtree(next((tmp_path / told["directory"] / "cells").iterdir()))
    header = tmp_path / second["directory"] / "run.json"
    elsewhere = json.loads(header.read_text())
    elsewhere["environment"]["kernel"] = "another"
    header.write_text(json.dumps(elsewhere))
    gone_on = cli("run", plan)
    assert f"{second['run']} was begun in another environment" in gone_on.stdout
    assert f"going on with {first['run']}: 2 of 3 cells" in gone_on.stdout
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_run_that_was_killed_at_its_report_is_gone_on_with(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    told = json.loads(cli("run", plan, "--json").stdout)
    (tmp_path / told["report"]).unlink()
    again = json.loads(cli("run", plan, "--json").stdout)
    assert (again["run"], again["resumed_cells"]) == (told["run"], 3)
    assert "What ran" in (tmp_path / told["report"]).read_text()
    assert not list((tmp_path / told["directory"]).glob(".report*"))


def test_what_a_killed_report_left_goes_with_the_next_one(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    directory = tmp_path / json.loads(cli("run", plan, "--json").stdout)["directory"]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, of_one_that_lives, other = (
        directory / f".report-{name}.html" for name in (ended.pid, os.getpid(), "notes")
    )
    for arguments in ((), ("-o", tmp_path / "page.html")):
        for path in (left, of_one_that_lives, other):
            path.write_text("<html>")
        assert cli("report", "latest", *arguments).returncode == 0
        assert sorted(directory.glob(".report*")) == sorted((of_one_that_lives, other))


def test_a_plan_that_was_changed_says_what_becomes_of_its_unfinished_run(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    told = json.loads(cli("run", plan, "--json").stdout)
    shutil.rmtree(next((tmp_path / told["directory"] / "cells").iterdir()))
    plan.write_text(plan.read_text().replace('["random_binary"]', '["random_binary", "uuid_keys"]'))
    changed = cli("run", plan)
    assert f"{told['run']} is not finished (2 of 3 cells)" in changed.stdout
    kept = tmp_path / told["directory"] / "plan.toml"
    assert f"going on with {told['run']}: 2 of 3 cells" in cli("run", kept).stdout


def test_damaged_results_are_a_sentence_and_not_a_traceback(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    directory = tmp_path / json.loads(cli("run", plan, "--json").stdout)["directory"]
    next(directory.glob("cells/*/latency-0.npy")).write_bytes(b"")
    reports = [cli("report", "latest", "--json")]
    shutil.rmtree(directory / "cells")
    reports.append(cli("report", "latest", "--json"))
    for refused, words in zip(reports, ("latency-0.npy is damaged", "can't be read"), strict=True):
        assert refused.returncode == 5
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
    assert "can't be read" in cli("list", "runs", "--json").stdout


def test_what_there_is_can_be_listed(tmp_path: Path, cli: Cli) -> None:
    found = json.loads(cli("list", "--json").stdout)
    assert {row["system"] for row in found["systems"]} >= {"plain", "postgresql", "clickhouse"}
    assert {"system": "clickhouse", "variant": "replacing-by-hash"}.items() <= next(
        row for row in found["variants"] if row["variant"] == "replacing-by-hash"
    ).items()
    assert {row["payload"] for row in found["payloads"]} >= {"random_binary", "text_document"}


def test_the_doctor_finds_what_needs_no_server_ready(cli: Cli) -> None:
    rows = json.loads(cli("doctor", "plain,sqlite,null", "--json").stdout)
    assert {row["system"]: row["status"] for row in rows} == {
        "plain": "ready",
        "sqlite": "ready",
        "null": "ready",
    }


@pytest.mark.parametrize("words", [("report", "latest"), ("list", "runs"), ("clean",)])
def test_runs_that_can_not_be_reached_are_refused(
    words: tuple[str, ...], tmp_path: Path, cli: Cli
) -> None:
    (tmp_path / "file").write_text("in the way")
    refused = cli(*words, "--runs", tmp_path / "file" / "runs")
    assert refused.returncode == 2
    assert "Not a directory" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_unknown_run_is_a_clear_error(cli: Cli) -> None:
    refused = cli("report", "latest")
    assert refused.returncode == 5
    assert "start one with" in refused.stderr


def test_a_closed_pipe_and_a_full_one_end_without_a_traceback(tmp_path: Path) -> None:
    for arguments in (("list", "systems", "--json"), ("list", "systems")):
        reading, writing = os.pipe()
        os.close(reading)
        ended = run_into(writing, tmp_path, *arguments)
        assert (ended.returncode, ended.stderr) == (141, "")
        full = run_into(os.open("/dev/full", os.O_WRONLY), tmp_path, *arguments)
        assert full.returncode == 4
        assert full.stderr == "deduplab: the disk is full: [Errno 28] No space left on device\n"


def run_into(
    output: int, tmp_path: Path, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command(*arguments),
            env=environment(tmp_path),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=READY_DEADLINE_S,
            check=False,
        )
    finally:
        os.close(output)


def test_only_the_runs_that_are_named_are_cleaned_away(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    older, newer = (
        tmp_path / json.loads(cli("run", plan, "--json").stdout)["directory"] for _ in range(2)
    )
    assert cli("clean", "--run", "latest", "--run", "slow", "--yes").returncode == 5
    assert newer.exists()  # a wrong name deletes nothing
    unasked = cli("clean", "--run", "latest")
    assert unasked.returncode == 2
    assert "nobody answered" in unasked.stderr
    unexported = cli("clean", "--run", "latest", "--yes")
    assert unexported.returncode == 5
    assert "it is not exported" in unexported.stderr
    assert newer.exists()
    twice = ("--run", "latest", "--run", "latest")
    assert cli("clean", *twice, "--yes", "--unexported-too").returncode == 0
    assert older.exists()
    assert not newer.exists()
    renamed = older.rename(older.with_name("renamed"))
    assert json.loads(cli("list", "runs", "--json").stdout)[0]["run"] == renamed.name
    assert cli("report", renamed.name, "--coverage").returncode == 0


def test_what_would_be_passed_over_in_silence_is_refused(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    for arguments in (
        ("report", "latest", "--json", "-o", "page.html"),
        ("plan", plan, "--only", ","),
    ):
        assert cli(*arguments).returncode == 2


def test_tables_fit_into_eighty_columns(cli: Cli) -> None:
    quick = Path(__file__).parents[2] / "plans" / "quick.toml"
    for arguments, wanted in (
        (("plan", quick), {"reclaim", "times", "cells"}),
        (("doctor", "single_instance"), {"auth", "write", "read", "size", "del", "yes"}),
    ):
        done = cli(*arguments, columns=80)
        assert done.returncode == 0, done.stderr
        shown = done.stdout
        assert wanted <= set(shown.split())
        assert "…" not in shown
