"""Sinks that need nobody: a file, the state as metrics, and the file that names sinks."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deduplab.errors import PlanError
from deduplab.sinks.json_lines import JsonLines, JsonLinesSettings
from deduplab.sinks.kafka import KafkaSettings
from deduplab.sinks.message import Message
from deduplab.sinks.metrics import Metrics
from deduplab.sinks.sinks_file import load

core = pytest.importorskip("prometheus_client.core")

CELL = {
    "run": "r1",
    "plan": "p1",
    "cell": "c1",
    "system": "sqlite",
    "variant": "default",
    "layout": "blob",
    "payload": "text_document",
    "grade_percent": 90,
    "distance": "adjacent",
    "volume": "none",
    "rate_per_s": None,
    "clients": 4,
    "replicas": 3,
    "repetition": 2,
    "settings": "",
}
MEASURED: Message = {
    **CELL,
    "type": "measured",
    "at_unix_ns": 5,
    "position": 0,
    "stage": "bulk",
    "mode": "",
    "filled": False,
    "outcome": "OK",
    "reason": "",
    "objects": 10,
    "logical_bytes": 1000,
    "unique_bytes": 100,
    "operations": 2,
    "duration_ns": 1_500_000_000,
    "flush_ns": 0,
    "sizes": [
        {"moment": "flush", "layer": "FILES", "ruler": "allocated", "size_bytes": 7000},
        {"moment": "rest", "layer": "FILES", "ruler": "allocated", "size_bytes": 8192},
    ],
}


# A file


def opened(path: Path) -> JsonLines:
    sink = JsonLines(JsonLinesSettings(path))
    sink.open()
    return sink


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(2):
        sink = opened(path)
        sink.take([{"number": number, "words": "ä"}, {"number": number}])
        sink.take([])
        sink.close(1)
        assert (sink.lost, sink.reason, sink.sent()) == (0, "", "2 lines")
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [0, 0, 1, 1]


def test_a_line_that_was_torn_by_a_kill_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"number": 1}\n{"numb')
    sink = opened(path)
    sink.take([{"number": 2}])
    sink.close(1)
    lines = path.read_text().splitlines()
    assert lines[1] == '{"numb'
    assert json.loads(lines[2]) == {"number": 2}


@contextmanager
def files_end_at(limit_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    deaf = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, deaf)


def test_what_can_not_be_written_is_counted_and_later_lines_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = opened(path)
    sink.take([{"number": 0}])
    with files_end_at(20):
        sink.take([{"number": 1, "words": "x" * 100}, {"number": 2}])
    assert sink.lost == 2
    assert "can't be written" in sink.reason
    sink.take([{"number": 3}])
    sink.close(1)
    assert (sink.lost, sink.sent()) == (2, "2 lines")
    lines = path.read_text().splitlines()
    assert json.loads(lines[0]) == {"number": 0}
    assert json.loads(lines[-1]) == {"number": 3}


def test_a_file_that_can_not_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"gone/events\.jsonl can't be written"):
        opened(tmp_path / "gone" / "events.jsonl")


# Metrics


def collected(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values by name and the labels' values, sorted by the labels' names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in metrics.collect():
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def began(metrics: Metrics) -> None:
    run: dict[str, Any] = {"run": "r1", "plan": "p1", "at_unix_ns": 1}
    metrics.take({**run, "type": "run_began", "cells": 4, "done": 1})
    metrics.take({**CELL, "type": "cell_began", "at_unix_ns": 2_500_000_000, "attempt": 1})


def test_a_run_is_shown_with_the_cell_in_hand() -> None:
    metrics = Metrics()
    began(metrics)
    metrics.take(
        {**CELL, "type": "marked", "at_unix_ns": 3, "stage": "bulk", "phase": "rest"},
    )
    found = collected(metrics)
    assert found["deduplab_run_info"] == {("p1", "r1"): 1}
    assert found["deduplab_run_running"] == {("r1",): 1}
    assert found["deduplab_run_cells"] == {("r1",): 4}
    assert found["deduplab_run_cells_done"] == {("r1",): 1}
    assert found["deduplab_cell_phase"] == {("c1", "rest", "r1", "bulk"): 1}
    (labels,) = found["deduplab_cell_info"]
    assert "4" in labels, "the number of clients"
    assert "3" in labels, "the number of replicas"
    assert {"c1", "sqlite", "U90", "adjacent", "2"} < set(labels)


def test_a_sample_is_shown_in_seconds_and_bytes_and_forgotten_with_its_cell() -> None:
    metrics = Metrics()
    began(metrics)
    sample = {**CELL, "type": "sampled", "at_unix_ns": 3, "number": 0}
    seen = {
        "files_allocated_bytes": 4096.0,
        "system_cpu_ns": 2.5e9,
        "system_write_bytes": 10.0,
        "engine_wal_bytes": 3.0,
    }
    metrics.take({**sample, "values": seen})
    labels = ("c1", "r1", "sqlite", "default")
    found = collected(metrics)
    assert found["deduplab_files_allocated_bytes"] == {labels: 4096}
    assert found["deduplab_system_cpu_seconds_total"] == {labels: 2.5}
    assert found["deduplab_system_write_bytes_total"] == {labels: 10}
    assert found["deduplab_engine"] == {("c1", "wal_bytes", "r1", "sqlite", "default"): 3}
    later = {**sample, "at_unix_ns": 3 + 5 * 10**9, "values": {"files_allocated_bytes": 5000.0}}
    metrics.take(later)
    found = collected(metrics)
    assert found["deduplab_files_allocated_bytes"] == {labels: 5000}
    assert "deduplab_engine" in found, "what is dear to read is not read at every tick"
    metrics.take({**later, "at_unix_ns": 4 + 5 * 10**9})
    found = collected(metrics)
    assert found["deduplab_files_allocated_bytes"] == {labels: 5000}
    assert not {"deduplab_engine", "deduplab_system_cpu_seconds_total"} & set(found)
    metrics.take(
        {**CELL, "type": "cell_ended", "at_unix_ns": 4, "outcome": "OK", "done": 2, "baseline": []}
    )
    found = collected(metrics)
    assert not {"deduplab_files_allocated_bytes", "deduplab_cell_info"} & set(found)
    assert found["deduplab_run_cells_done"] == {("r1",): 2}
    assert found["deduplab_run_cells_ended"] == {("OK", "r1"): 1}


def test_what_was_measured_stays_and_only_what_settled_is_a_size() -> None:
    metrics = Metrics()
    began(metrics)
    metrics.take(MEASURED)
    metrics.take({"type": "run_ended", "run": "r1", "at_unix_ns": 9, "why": ""})
    found = collected(metrics)
    assert found["deduplab_run_running"] == {("r1",): 0}
    assert list(found["deduplab_stage_duration_seconds"].values()) == [1.5]
    assert list(found["deduplab_stage_unique_bytes"].values()) == [100]
    assert list(found["deduplab_moment_bytes"].values()) == [8192]


def test_what_does_not_count_is_told_and_is_no_figure() -> None:
    metrics = Metrics()
    began(metrics)
    metrics.take({**MEASURED, "outcome": "INVALID"})
    found = collected(metrics)
    assert list(found["deduplab_stage_ok"].values()) == [0]
    assert not {"deduplab_stage_duration_seconds", "deduplab_moment_bytes"} & set(found)


def test_cells_that_differ_in_their_settings_alone_have_a_series_each() -> None:
    metrics = Metrics()
    began(metrics)
    for settings in ("placement=within", "placement=across"):
        metrics.take({**MEASURED, "settings": settings})
        metrics.take({**MEASURED, "settings": settings, "repetition": 3})
    found = collected(metrics)
    for name in ("stage_ok", "stage_objects", "moment_bytes"):
        assert len(found[f"deduplab_{name}"]) == 2, name


def test_a_figure_is_of_the_last_repetition_that_counts() -> None:
    metrics = Metrics()
    began(metrics)
    metrics.take(MEASURED)
    metrics.take({**MEASURED, "repetition": 3, "duration_ns": 2_000_000_000})
    metrics.take({**MEASURED, "repetition": 4, "duration_ns": 9_000_000_000, "outcome": "FAILED"})
    found = collected(metrics)
    assert list(found["deduplab_stage_duration_seconds"].values()) == [2]
    assert list(found["deduplab_stage_ok"].values()) == [0]


# The file that names them


def sinks_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sinks.toml"
    path.write_text(text)
    return path


def test_secrets_are_looked_up_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = os.urandom(8).hex()
    monkeypatch.setenv("SINK_SECRET", password)
    path = sinks_file(
        tmp_path,
        '[kafka]\naddress = "a:1,[::1]:2"\ntopic = "t"\nuser = "u"\nsecret = "env:SINK_SECRET"\n',
    )
    (settings,) = load(path)
    assert isinstance(settings, KafkaSettings)
    assert settings.secret is not None
    assert settings.secret.reveal() == password
    assert password not in repr(settings)
    library = settings.of_library()
    assert library["security.protocol"] == "SASL_SSL"
    assert library["sasl.mechanism"] == "SCRAM-SHA-512"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no sink is named"),
        ("[kafca]\n", "kafka"),
        ("[prometheus]\n", "'listen' is missing"),
        ('[prometheus]\nlisten = "9464"\n', r":2: listen: must be HOST:PORT"),
        ('[prometheus]\nlisten = "a:70000"\n', r":2: listen: must be HOST:PORT"),
        ('[json_lines]\npath = "a"\npaht = "b"\n', r":3: .*path"),
        ('[pushgateway]\nurl = "127.0.0.1:9091"\n', r":2: url: must be a URL"),
        ('[pushgateway]\nurl = "http://u:p@h"\n', r":2: url: must not hold a login"),
        ('[pushgateway]\nurl = "http://h"\nuser = "u"\n', r":3: 'user' needs 'secret'"),
        ('[pushgateway]\nurl = "http://h"\ninterval_s = 0\n', r":3: interval_s"),
        ('[kafka]\naddress = "a:1"\ntopic = "t"\nuser = "u"\nsecret = "x"\n', "by reference"),
        ('[kafka]\naddress = "a:1"\ntopic = "t"\nuser = "u"\nsecret = "env:GONE_"\n', "not set"),
        ('[kafka]\naddress = "a:1"\ntopic = "t"\nmechanism = "SCRAM"\n', "mechanism"),
        ('[kafka]\naddress = "a:1"\ntopic = "t"\nssl_ca = "/gone"\n', "ssl_ca"),
        ("kafka = 3\n", "must be a table"),
        ("[kafka\n", "can't be read"),
    ],
)
def test_a_file_that_is_wrong_is_refused_at_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        load(sinks_file(tmp_path, text))
