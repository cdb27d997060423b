"""The files for Prometheus and Grafana, against a real Prometheus that watches a real run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deduplab.servers._process import free_port
from tests.end_to_end.conftest import Cli, command, environment
from tests.end_to_end.products import Missing, program, prometheus, queried
from tests.end_to_end.test_sink_metrics import LONG

pytestmark = pytest.mark.server
pytest.importorskip("prometheus_client")

# What a run without a volume of its own, and with all systems at hand, has nothing of.
NOTHING = ("deduplab_volume_used_bytes", "deduplab_run_cells_not_run")

ALARMS = """
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'deduplab_run_running{run="r"}', values: '1x30'}
      - {series: 'deduplab_last_event_timestamp_seconds{run="r"}', values: '0 60 120 120x27'}
      - {series: 'deduplab_run_cells_ended{run="r",outcome="OK"}', values: '5x30'}
      - {series: 'deduplab_run_cells_ended{run="r",outcome="INVALID"}', values: '0x4 2x26'}
    alert_rule_test:
      - {eval_time: 10m, alertname: DeduplabRunSilent, exp_alerts: []}
      - eval_time: 14m
        alertname: DeduplabRunSilent
        exp_alerts:
          - exp_labels: {severity: warning, run: r}
            exp_annotations:
              summary: The run r has told nothing for ten minutes.
              description: "It may hang, or have been killed: the same command goes on with it."
      - {eval_time: 3m, alertname: DeduplabCellsDoNotCount, exp_alerts: []}
      - eval_time: 10m
        alertname: DeduplabCellsDoNotCount
        exp_alerts:
          - exp_labels: {severity: warning, run: r}
            exp_annotations:
              summary: 2 cells of the run r do not count.
              description: >-
                The report has the reasons; deduplab run PLAN --again measures them anew.
      - {eval_time: 10m, alertname: DeduplabCellsNotRun, exp_alerts: []}
"""


def rendered(tmp_path: Path, cli: Cli, *options: str) -> Path:
    done = cli("ops", "monitoring", "-o", "watch", *options)
    assert done.returncode == 0, done.stderr
    paths = [tmp_path / line for line in done.stdout.splitlines()]
    assert len(paths) == 5
    assert all(path.is_file() for path in paths)
    return tmp_path / "watch"


def dashboard_of(watch: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((watch / "grafana/dashboards/deduplab.json").read_text())
    return found


def checked(*arguments: str | Path) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_configuration_and_rules(
    tmp_path: Path, cli: Cli, not_brought_up: Missing
) -> None:
    tool = program("promtool", not_brought_up)
    options = ("--scrape", "a:1", "--scrape", "b:2", "--pushgateway", "c:3")
    watch = rendered(tmp_path, cli, *options)
    configuration = watch / "prometheus" / "prometheus.yml"
    checked(tool, "check", "config", configuration)
    jobs = yaml.safe_load(configuration.read_text())["scrape_configs"]
    assert [job["static_configs"][0]["targets"] for job in jobs] == [["a:1", "b:2"], ["c:3"]]


def test_alarms_ring_when_they_should_and_not_before(
    tmp_path: Path, cli: Cli, not_brought_up: Missing
) -> None:
    tool = program("promtool", not_brought_up)
    rules = rendered(tmp_path, cli) / "prometheus" / "deduplab-rules.yml"
    tests = tmp_path / "tests.yml"
    tests.write_text(ALARMS.replace("RULES", str(rules)))
    checked(tool, "test", "rules", tests)


def test_panels_lie_side_by_side_and_say_what_they_show(tmp_path: Path, cli: Cli) -> None:
    panels = dashboard_of(rendered(tmp_path, cli))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
    yaml_files = list((tmp_path / "watch").rglob("*.yml"))
    assert len(yaml_files) == 4
    assert all(yaml.safe_load(path.read_text()) for path in yaml_files)


def test_a_directory_that_can_not_be_written_is_named(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "prometheus").write_text("")
    done = cli("ops", "monitoring", "-o", "watch")
    assert done.returncode == 5
    assert "watch/prometheus/prometheus.yml can't be written" in done.stderr


@pytest.mark.parametrize("option", ["--scrape", "--pushgateway"])
def test_an_address_without_a_port_is_refused(tmp_path: Path, cli: Cli, option: str) -> None:
    done = cli("ops", "monitoring", "-o", "watch", option, "lab")
    assert done.returncode == 2
    assert f"'{option}': must be HOST:PORT" in done.stderr
    assert not (tmp_path / "watch").exists()


def test_every_query_of_the_dashboard_finds_what_a_run_shows(
    tmp_path: Path, workspace: Path, cli: Cli, not_brought_up: Missing
) -> None:
    dashboard = dashboard_of(rendered(tmp_path, cli))
    expressions = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    bytes_for_a_byte = [
        target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
        if panel["title"].startswith("Bytes for a byte")
    ]
    port = free_port()
    plan, sinks = tmp_path / "p.toml", tmp_path / "sinks.toml"
    apart = '[data]\nplacements = ["within", "across"]'
    plan.write_text(LONG.replace("repetitions = 1", "repetitions = 2").replace("[data]", apart))
    sinks.write_text(f'[prometheus]\nlisten = "127.0.0.1:{port}"\n')
    with prometheus(tmp_path, not_brought_up, [f"127.0.0.1:{port}"]) as url:
        process = subprocess.Popen(
            command("run", plan, "--sinks", sinks),
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
        )
        waiting = dict.fromkeys(expressions, "")
        settings: set[str] = set()
        try:
            while waiting and process.poll() is None:
                runs = [one["metric"]["run"] for one in queried(url, "deduplab_run_info")]
                for expression in list(waiting) if runs else ():
                    found = queried(url, expression.replace("$run", runs[0]))
                    if found:
                        del waiting[expression]
                for expression in bytes_for_a_byte if runs else ():
                    found = queried(url, expression.replace("$run", runs[0]))
                    settings |= {one["metric"]["settings"] for one in found}
        finally:
            output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    assert len(waiting) == len(NOTHING), waiting
    assert all(any(name in one for name in NOTHING) for one in waiting), waiting
    assert settings == {"placement=within", "placement=across"}
    workspace.rmdir()
