"""What is told of a run while it goes on, held against what the store has of it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from deduplab.cli.run_events import as_it_was
from deduplab.servers._process import free_port
from deduplab.store import Run
from tests.end_to_end.conftest import Cli, command, environment, write_plan
from tests.soon import soon

PLACEMENTS = 'placements = ["within", "across"]'
RELAY = "deduplab.sinks.relay"


def sinks_of(tmp_path: Path, text: str = "") -> Path:
    path = tmp_path / "sinks.toml"
    path.write_text(f'[json_lines]\npath = "{tmp_path / "events.jsonl"}"\n{text}')
    return path


def events(tmp_path: Path, name: str = "events.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]


def run_of(tmp_path: Path) -> Run:
    return Run.open(next((tmp_path / "runs").iterdir()))


def told_of(found: list[dict[str, Any]], kind: str, cell: str) -> list[dict[str, Any]]:
    return [one for one in found if one["type"] == kind and one["cell"] == cell]


def test_what_was_told_is_what_was_kept(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain", "sqlite", "rest"])
    done = cli("run", plan, "--sinks", sinks_of(tmp_path), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = events(tmp_path)
    (delivery,) = json.loads(done.stdout)["sinks"]
    assert delivery == {
        "sink": "json_lines",
        "told": len(found),
        "lost": 0,
        "sent": f"{len(found)} lines",
        "reason": "",
    }
    run = run_of(tmp_path)
    assert [found[0]["type"], found[-1]["type"]] == ["run_began", "run_ended"]
    assert found[-1]["why"] == ""
    assert {one["run"] for one in found} == {run.header.run_id}
    results = list(run.cells())
    assert len(results) == found[0]["cells"] == 9
    for result in results:
        cell = result.cell.cell_id
        trace = run.trace(cell)
        assert trace is not None
        samples = told_of(found, "sampled", cell)
        assert [one["number"] for one in samples] == list(range(len(trace.at_ns)))
        times = (trace.began_unix_ns + trace.at_ns).tolist()
        assert [one["at_unix_ns"] for one in samples] == times
        assert [one["values"] for one in samples] == [values for _, values in trace.samples()]
        assert {one["system"] for one in samples} == {result.cell.system}
        marks = told_of(found, "marked", cell)
        assert [one["position"] for one in marks] == [mark.position for mark in trace.marks]
        measured = told_of(found, "measured", cell)
        assert [(one["stage"], one["mode"], one["duration_ns"]) for one in measured] == [
            (one.stage.value, one.mode, one.duration_ns) for one in result.measurements
        ]
        (ended,) = told_of(found, "cell_ended", cell)
        assert ended["outcome"] == "OK"
        assert ended["baseline"]


def test_a_run_that_is_over_is_told_as_it_was(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain"])
    plan.write_text(plan.read_text().replace("[data]", f"[data]\n{PLACEMENTS}"))
    assert cli("run", plan, "--sinks", sinks_of(tmp_path)).returncode == 0
    live = events(tmp_path)
    ended = [(one["settings"], one["cell"]) for one in live if one["type"] == "cell_ended"]
    assert len(ended) == 6
    for cell in run_of(tmp_path).cells():
        assert (f"placement={cell.cell.bulk.placement}", cell.cell.cell_id) in ended
    (tmp_path / "events.jsonl").unlink()
    done = cli("trace", "latest", "--sinks", sinks_of(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    again = events(tmp_path)
    assert json.loads(done.stdout)["sinks"][0]["told"] == len(again) == len(live)

    def essence(found: list[dict[str, Any]]) -> list[str]:
        # A sample and a mark of the same moment may change places.
        kept = [{k: v for k, v in one.items() if k not in ("stage", "phase")} for one in found]
        for one in kept:
            if one["type"] not in ("sampled", "marked"):
                del one["at_unix_ns"]
        return sorted(json.dumps(one, sort_keys=True) for one in kept)

    assert essence(again) == essence(live)


def test_a_sink_that_fails_costs_the_run_nothing(tmp_path: Path, cli: Cli) -> None:
    sinks = tmp_path / "sinks.toml"
    sinks.write_text('[json_lines]\npath = "/dev/full"\n')
    done = cli("run", write_plan(tmp_path / "p.toml", ["plain"]), "--sinks", sinks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sink json_lines: 0 lines; " in done.stdout
    assert "/dev/full can't be written" in done.stdout
    assert all(result.outcome.ok for result in run_of(tmp_path).cells())
    done = cli("trace", "latest", "--sinks", sinks)
    assert done.returncode == 7
    assert "lost" in done.stderr


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[kafca]\n", 2, "kafka"),
        ('[prometheus]\nlisten = "127.0.0.1:1x"\n', 2, "HOST:PORT"),
        ('[pushgateway]\nurl = "http://127.0.0.1:9"\n', 3, "does not answer"),
        ('[kafka]\naddress = "127.0.0.1:9"\ntopic = "t"\ntls = "off"\n', 3, "refused"),
    ],
)
def test_a_sink_that_can_not_be_used_is_told_before_anything_begins(
    tmp_path: Path, cli: Cli, text: str, code: int, words: str
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain"])
    done = cli("run", plan, "--sinks", sinks_of(tmp_path, text))
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert not (tmp_path / "runs").exists()
    assert cli("run", plan, "--sinks", tmp_path / "gone.toml").returncode == 2


def begun(tmp_path: Path, repetitions: int = 30) -> subprocess.Popen[str]:
    """Start a run and return once a cell tells samples."""
    plan = write_plan(tmp_path / "p.toml", ["rest"], repetitions)
    process = subprocess.Popen(
        command("run", plan, "--sinks", sinks_of(tmp_path)),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        # A job in the background ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    path = tmp_path / "events.jsonl"
    soon(lambda: path.exists() and '"sampled"' in path.read_text(), "sample")
    return process


def relay_of(process: subprocess.Popen[str]) -> psutil.Process:
    (found,) = (
        one for one in psutil.Process(process.pid).children() if RELAY in " ".join(one.cmdline())
    )
    return found


def test_a_run_that_is_interrupted_is_told_as_such(tmp_path: Path, workspace: Path) -> None:
    process = begun(tmp_path)
    relay = relay_of(process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    found = events(tmp_path)
    assert found[-1]["type"] == "run_ended"
    assert found[-1]["why"] == "KeyboardInterrupt"
    assert not relay.is_running()
    workspace.rmdir()


def test_a_run_that_is_killed_leaves_whole_lines_and_no_process(
    tmp_path: Path, workspace: Path, cli: Cli
) -> None:
    process = begun(tmp_path)
    relay = relay_of(process)
    process.kill()
    process.communicate(timeout=60)
    relay.wait(30)
    found = events(tmp_path)
    assert found[-1]["type"] != "run_ended"
    assert cli("clean").returncode == 0


def test_a_relay_that_is_killed_costs_the_run_nothing(tmp_path: Path, workspace: Path) -> None:
    process = begun(tmp_path, repetitions=2)
    relay_of(process).kill()
    time.sleep(0.5)
    before = len(events(tmp_path))
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert len(events(tmp_path)) == before
    assert "the process that gives events to the sinks has ended" in output
    assert all(result.outcome.ok for result in run_of(tmp_path).cells())
    workspace.rmdir()


def lost_so_far(process: psutil.Process) -> int:
    """Read the number at which a relay's counter of losses stands, from the kernel."""
    found = [
        line.split()[1]
        for path in Path(f"/proc/{process.pid}/fdinfo").iterdir()
        for line in path.read_text().splitlines()
        if line.startswith("eventfd-count:")
    ]
    (count,) = found
    return int(count, 16)


def test_what_found_no_room_on_the_way_is_in_what_every_sink_lost(
    tmp_path: Path, workspace: Path
) -> None:
    """The relay stands still until something is lost; then all that the store has is accounted."""
    port = free_port()
    plan = write_plan(tmp_path / "p.toml", ["rest"], repetitions=2)
    plan.write_text(f"trace_hz = 100\n{plan.read_text()}")
    more = f'[prometheus]\nlisten = "127.0.0.1:{port}"\n'
    process = subprocess.Popen(
        command("run", plan, "--sinks", sinks_of(tmp_path, more), "--json"),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    path = tmp_path / "events.jsonl"
    try:
        soon(lambda: path.exists() and '"sampled"' in path.read_text(), "sample")
        relay = relay_of(process)
        relay.suspend()
        try:
            soon(lambda: lost_so_far(relay) > 20, "loss")
        finally:
            relay.resume()
    finally:
        output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    deliveries = json.loads(output)["sinks"]
    arrived = len(events(tmp_path))
    told = len(list(as_it_was(run_of(tmp_path))))
    assert [one["sink"] for one in deliveries] == ["json_lines", "prometheus"]
    for one in deliveries:
        assert one["told"] == told
        assert one["lost"] == told - arrived > 20
        assert one["reason"] == f"{told - arrived} found no room on the way to the relay"
    workspace.rmdir()


def test_without_a_tracer_cells_and_results_are_told(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["plain"])
    plan.write_text(f"trace_hz = 0\n{plan.read_text()}")
    assert cli("run", plan, "--sinks", sinks_of(tmp_path)).returncode == 0
    kinds = {one["type"] for one in events(tmp_path)}
    assert kinds == {"run_began", "cell_began", "measured", "cell_ended", "run_ended"}


def test_the_file_may_be_named_by_the_environment(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEDUPLAB_SINKS", str(sinks_of(tmp_path)))
    assert cli("run", write_plan(tmp_path / "p.toml", ["plain"])).returncode == 0
    assert events(tmp_path)
