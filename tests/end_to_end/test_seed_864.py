"""The plan of 864 stages, small: run by itself, killed and gone on with, its gaps counted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from deduplab.cell import CellResult
from deduplab.runs_folder import find_run
from deduplab.servers.rest import RestServer
from deduplab.store import Run
from tests.end_to_end.conftest import Cli, command, environment
from tests.end_to_end.test_remote import brought_up, table_of
from tests.faults.processes import inside

PLAN = Path(__file__).parents[2] / "plans" / "seed-864.toml"
TINY = ("--scale", "1/16384")
DEADLINE_S = 60.0


def cut_down(path: Path, payloads: str) -> Path:
    """Write the plan with these payloads alone, and shorter windows of rest."""
    text = re.sub(r"payloads = \[.*?\]", f"payloads = [{payloads}]", PLAN.read_text(), flags=re.S)
    path.write_text(text.replace("window_s = 0.5", "window_s = 0.05"))
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing was fetched, and no program of CockroachDB is on the search path."""
    monkeypatch.setenv("DEDUPLAB_CACHE", str(tmp_path / "cache"))
    folders = os.environ["PATH"].split(os.pathsep)
    kept = [folder for folder in folders if not (Path(folder) / "cockroach").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(kept))


def test_two_systems_of_the_plan_run_by_themselves(tmp_path: Path, cli: Cli) -> None:
    plan = cut_down(tmp_path / "p.toml", '"random_binary", "structured_json"')
    done = cli("run", plan, *TINY, "--only", "rest,postgresql", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["cells"] == {"OK": 12, "UNSUPPORTED": 0, "INVALID": 0, "FAILED": 0}
    assert told["coverage"]["stages"] == {
        "planned": 48, "OK": 48, "UNSUPPORTED": 0, "INVALID": 0, "FAILED": 0, "not run": 0,
    }  # fmt: skip
    assert len(told["coverage"]["matrix"]) == 4
    assert all(box["OK"] == box["planned"] == 12 for box in told["coverage"]["matrix"])
    page = (tmp_path / told["report"]).read_text()
    assert page.count("12/12") == 4
    assert "at scale 1/16384" in page


def test_what_is_not_here_is_counted_and_the_others_run(
    bare: None, tmp_path: Path, cli: Cli
) -> None:
    plan = cut_down(tmp_path / "p.toml", '"uuid_keys", "github_events"')
    only = ("--only", "rest,cockroachdb")
    done = cli("run", plan, *TINY, *only)
    assert done.returncode == 3, "a system without any cell is told by the exit code"
    assert "no cell counts of" in done.stderr
    assert "48 stages in 12 cells: 12 OK, 36 not run" in done.stdout
    assert "9 not run, the same command tries again" in done.stdout

    found = json.loads(cli("report", "latest", "--coverage", "--json").stdout)
    reasons = {tuple(one["systems"]): (one["cells"], one["reason"]) for one in found["reasons"]}
    cells, why = reasons["cockroachdb", "rest"]
    assert cells == 6
    assert "deduplab data fetch github_events" in why
    cells, why = reasons[("cockroachdb",)]
    assert cells == 3
    assert "no 'cockroach' on the search path" in why
    page = (find_run(tmp_path / "runs", "latest").root / "report.html").read_text()
    assert re.search(r'<td class="not-run"[^>]*>0/12</td>', page)

    again = cli("run", plan, *TINY, *only)
    assert "going on with" in again.stdout
    assert "3 of 12 cells are committed" in again.stdout
    assert len(list((tmp_path / "runs").iterdir())) == 1
    shown = cli("plan", plan, *TINY, *only).stdout
    assert "not run: 6 cells: there is no data for github_events" in shown
    assert "3 of 12 cells are committed" in shown


def test_a_run_that_is_killed_goes_on_to_the_same_count(
    bare: None, tmp_path: Path, cli: Cli, workspace: Path
) -> None:
    plan = cut_down(tmp_path / "p.toml", '"random_binary"')
    arguments = ("run", plan, *TINY, "--only", "rest,postgresql,clickhouse,cockroachdb")
    counts = []
    for cells in (2, 5):
        process = subprocess.Popen(
            command(*arguments),
            env=environment(tmp_path),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + DEADLINE_S
        while _committed(tmp_path) < cells:
            assert time.monotonic() < deadline, "too few cells were committed in time"
            assert process.poll() is None, "the run was done before it was killed"
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(inside(workspace), timeout=DEADLINE_S)
        assert not alive, "a server outlived the run that was killed"
        counts.append(_committed(tmp_path))
        found = json.loads(cli("report", "latest", "--coverage", "--json").stdout)
        assert found["cells"]["planned"] == 12
        assert found["cells"]["OK"] == counts[-1]

    done = cli(*arguments)
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"{counts[-1]} of 12 cells are committed" in done.stdout
    found = json.loads(cli("report", "latest", "--coverage", "--json").stdout)
    assert (found["stages"]["planned"], found["stages"]["OK"]) == (48, 36)
    assert found["systems"]["cockroachdb"]["cells"]["not run"] == 3
    assert [one["systems"] for one in found["reasons"]] == [["cockroachdb"]]


def _committed(tmp_path: Path) -> int:
    runs = list((tmp_path / "runs").glob("[!.]*/run.json"))
    assert len(runs) <= 1, "a resumed run is the same run"
    return len(Run.open(runs[0].parent).committed_ids()) if runs else 0


def test_a_server_that_vanishes_on_the_way_costs_its_own_cells(tmp_path: Path, cli: Cli) -> None:
    with brought_up(tmp_path / f"{tmp_path.name}-server", RestServer, "default") as (server, way):
        assert way.secret is not None
        (tmp_path / "secret").write_text(way.secret.reveal())
        tables = table_of("rest", way, f"file:{tmp_path / 'secret'}")
        plan = cut_down(tmp_path / "p.toml", '"random_binary"')
        before = plan.read_text().partition("# Each system in its default")[0]
        plan.write_text(f"{before}[systems.postgresql]\n{tables}\n")
        process = subprocess.Popen(
            command("run", plan, *TINY, "--json"),
            env=environment(tmp_path),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + DEADLINE_S
        while not any(cell.cell.system == "rest" for cell in _cells(tmp_path)):
            assert time.monotonic() < deadline, "no cell was committed in time"
            assert process.poll() is None
            time.sleep(0.02)
        server.stop()
        out, errors = process.communicate(timeout=2 * DEADLINE_S)
    found = json.loads(out)["coverage"]["systems"]
    assert process.returncode == 0, errors
    assert found["postgresql"]["cells"]["OK"] == 3, "the other system was not run to its end"
    rest = found["rest"]["cells"]
    assert rest["OK"] >= 1
    assert rest["OK"] + rest["FAILED"] + rest["not run"] == rest["planned"] == 3
    assert rest["not run"] >= 1, "the server was stopped after its last cell"
    assert "not run     rest, " in errors


def _cells(tmp_path: Path) -> list[CellResult]:
    return [
        result
        for path in (tmp_path / "runs").glob("[!.]*/run.json")
        for result in Run.open(path.parent).cells()
    ]
