"""The sinks of metrics, against a real Prometheus and a real Pushgateway."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deduplab.errors import SystemUnavailable
from deduplab.server import Secret
from deduplab.servers._process import free_port
from deduplab.sinks.prometheus import PrometheusSettings
from deduplab.sinks.pushgateway import PushgatewaySettings
from deduplab.store import Run
from tests.end_to_end.conftest import Cli, command, environment, write_plan
from tests.end_to_end.products import (
    DEADLINE_S,
    Missing,
    program,
    prometheus,
    pushgateway,
    queried,
)
from tests.soon import soon
from tests.unit.test_sinks_files import CELL, MEASURED

pytestmark = pytest.mark.server
pytest.importorskip("prometheus_client")

LONG = """\
name = "watched"
repetitions = 1
stages = ["bulk", "read"]
[data]
payloads = ["random_binary"]
grades = ["U0"]
logical_size = "1 MiB"
object_size = "8 KiB"
[rest]
window_s = 4
interval_s = 0.05
deadline_s = 20
[systems.postgresql]
"""


def text_of(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=DEADLINE_S) as answer:
        found: str = answer.read().decode()
    return found


def test_metrics_are_as_the_product_wants_them(not_brought_up: Missing) -> None:
    port = free_port()
    sink = PrometheusSettings("127.0.0.1", port).sink()
    sink.open()
    try:
        sink.take([{"type": "run_began", "run": "r1", "plan": "p", "cells": 1, "done": 0, **AT}])
        sink.take([{**CELL, **AT, "type": "cell_began", "attempt": 1}])
        values = {"files_allocated_bytes": 1.0, "system_cpu_ns": 1e9, "engine_wal_bytes": 2.0}
        sink.take([{**CELL, **AT, "type": "sampled", "number": 0, "values": values}, MEASURED])
        text = text_of(f"http://127.0.0.1:{port}")
    finally:
        sink.close(5)
    assert "deduplab_system_cpu_seconds_total" in text
    assert "deduplab_moment_bytes" in text
    tool = program("promtool", not_brought_up)
    done = subprocess.run(
        [tool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("dedup")]
    assert not ours, ours
    with pytest.raises(OSError, match="refused"):
        text_of(f"http://127.0.0.1:{port}")


AT = {"at_unix_ns": 1_000_000_000}


def test_a_port_that_is_taken_is_named() -> None:
    port = free_port()
    first = PrometheusSettings("127.0.0.1", port).sink()
    first.open()
    try:
        with pytest.raises(SystemUnavailable, match=rf"can't listen on 127\.0\.0\.1:{port}"):
            PrometheusSettings("127.0.0.1", port).sink().open()
    finally:
        first.close(5)


def test_a_gateway_keeps_what_was_measured_and_nothing_of_the_moment(
    tmp_path: Path, cli: Cli, not_brought_up: Missing
) -> None:
    with pushgateway(tmp_path, not_brought_up) as url:
        sinks = tmp_path / "sinks.toml"
        sinks.write_text(f'[pushgateway]\nurl = "{url}"\ninterval_s = 0.5\n')
        done = cli("run", write_plan(tmp_path / "p.toml", ["sqlite"]), "--sinks", sinks)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"sink pushgateway: \d+ pushes\n", done.stdout)
        text = text_of(url)
    run = Run.open(next((tmp_path / "runs").iterdir()))
    mine = [line for line in text.splitlines() if f'instance="{run.header.run_id}"' in line]
    names = {line.partition("{")[0] for line in mine}
    assert 'job="deduplab"' in mine[0]
    assert {"deduplab_stage_duration_seconds", "deduplab_moment_bytes"} <= names
    assert not {"deduplab_cell_info", "deduplab_files_allocated_bytes"} & names
    (done_cells,) = [line for line in mine if line.startswith("deduplab_run_cells_done{")]
    assert float(done_cells.split()[-1]) == len(run.committed_ids())
    (running,) = [line for line in mine if line.startswith("deduplab_run_running{")]
    assert float(running.split()[-1]) == 0


def test_a_gateway_that_asks_for_a_login(tmp_path: Path, not_brought_up: Missing) -> None:
    password = os.urandom(8).hex()
    with pushgateway(tmp_path, not_brought_up, password) as url:
        for user, secret in ((None, None), ("lab", Secret("not " + password))):
            with pytest.raises(SystemUnavailable, match=r"does not answer: .*401"):
                PushgatewaySettings(url, 1, user, secret).sink().open()
        sink = PushgatewaySettings(url, 1, "lab", Secret(password)).sink()
        sink.open()
        sink.take([MEASURED])
        sink.close(5)
    assert (sink.lost, sink.reason) == (0, "")
    assert sink.sent() == "2 pushes"


def test_a_gateway_that_goes_away_is_told_and_the_next_push_makes_it_up(
    tmp_path: Path, not_brought_up: Missing
) -> None:
    with pushgateway(tmp_path, not_brought_up) as url:
        sink = PushgatewaySettings(url, 0.01, None, None).sink()
        sink.open()
    sink.take([MEASURED])
    sink.close(1)
    assert sink.sent() == "0 pushes, 2 failed"
    assert "refused" in sink.reason


def test_prometheus_sees_a_run_while_it_goes_on(
    tmp_path: Path, workspace: Path, not_brought_up: Missing
) -> None:
    port = free_port()
    plan, sinks = tmp_path / "p.toml", tmp_path / "sinks.toml"
    plan.write_text(LONG)
    sinks.write_text(f'[prometheus]\nlisten = "127.0.0.1:{port}"\n')
    with prometheus(tmp_path, not_brought_up, [f"127.0.0.1:{port}"]) as url:
        process = subprocess.Popen(
            command("run", plan, "--sinks", sinks),
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        )
        try:
            phase = 'deduplab_cell_phase{stage="bulk",phase="rest"}'
            soon(lambda: queried(url, phase), "phase")
            joined = (
                "deduplab_files_allocated_bytes * on (cell) group_left (payload) deduplab_cell_info"
            )
            (size,) = soon(lambda: queried(url, joined), "size")
            assert size["metric"]["payload"] == "random_binary"
            assert float(size["value"][1]) > 1 << 20
        finally:
            output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert f"sink prometheus: shown at 127.0.0.1:{port}" in output.decode()
    workspace.rmdir()
