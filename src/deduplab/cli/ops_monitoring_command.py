"""``deduplab ops monitoring``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from deduplab.errors import PlanError, unwritten
from deduplab.ops.monitoring.dashboard import dashboard
from deduplab.ops.monitoring.grafana_files import DASHBOARDS, data_source
from deduplab.ops.monitoring.prometheus_files import RULES, RULES_NAME, configuration
from deduplab.sinks.sinks_file import host_and_port

_LISTENS: Final = "127.0.0.1:9464"


def _addresses(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    for value in values:
        try:
            host_and_port(value)
        except PlanError as error:
            raise click.BadParameter(str(error), context, option) from error
    return values


@click.command(
    "monitoring",
    short_help="Write the files by which Prometheus and Grafana watch runs.",
    epilog="Examples:\n\n\b\n"
    "  deduplab ops monitoring -o watch\n"
    "  prometheus --config.file watch/prometheus/prometheus.yml &\n"
    "  deduplab run plans/quick.toml --sinks examples/sinks.toml",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory to write them to; files of ours that are there are replaced.",
)
@click.option(
    "--scrape",
    metavar="HOST:PORT",
    multiple=True,
    callback=_addresses,
    help=f"Where a run listens, as its sink prometheus says; {_LISTENS} if nothing is named.",
)
@click.option(
    "--pushgateway",
    metavar="HOST:PORT",
    multiple=True,
    callback=_addresses,
    help="A Pushgateway that runs push to.",
)
@click.option(
    "--prometheus-url",
    metavar="URL",
    default="http://127.0.0.1:9090",
    show_default=True,
    help="Where Grafana finds Prometheus.",
)
def command(
    output: Path, scrape: tuple[str, ...], pushgateway: tuple[str, ...], prometheus_url: str
) -> None:
    """Write what Prometheus and Grafana need to watch runs: which addresses to scrape, rules for
    alarms, a data source and a dashboard. Nothing is started.

    Names and units of the metrics are in docs/monitoring.md.
    """
    if not scrape and not pushgateway:
        scrape = (_LISTENS,)
    files = {
        "prometheus/prometheus.yml": configuration(scrape, pushgateway),
        f"prometheus/{RULES_NAME}": RULES,
        "grafana/provisioning/datasources/deduplab.yml": data_source(prometheus_url),
        "grafana/provisioning/dashboards/deduplab.yml": DASHBOARDS,
        "grafana/dashboards/deduplab.json": json.dumps(dashboard(), indent=2) + "\n",
    }
    for name, text in files.items():
        path = output / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise unwritten(f"{path} can't be written", error) from error
        click.echo(path)
