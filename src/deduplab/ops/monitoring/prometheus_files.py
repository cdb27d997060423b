"""What Prometheus is configured with: where runs are to be scraped, and when to be alarmed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

RULES_NAME: Final = "deduplab-rules.yml"

RULES: Final = """\
# When somebody should look. Load it by rule_files in Prometheus' configuration.
groups:
  - name: deduplab
    rules:
      - alert: DeduplabRunSilent
        expr: deduplab_run_running == 1 and time() - deduplab_last_event_timestamp_seconds > 600
        labels: {severity: warning}
        annotations:
          summary: "The run {{ $labels.run }} has told nothing for ten minutes."
          description: "It may hang, or have been killed: the same command goes on with it."
      - alert: DeduplabCellsDoNotCount
        expr: sum by (run) (deduplab_run_cells_ended{outcome=~"FAILED|INVALID"}) > 0
        labels: {severity: warning}
        annotations:
          summary: "{{ $value }} cells of the run {{ $labels.run }} do not count."
          description: "The report has the reasons; deduplab run PLAN --again measures them anew."
      - alert: DeduplabCellsNotRun
        expr: deduplab_run_cells_not_run > 0
        labels: {severity: warning}
        annotations:
          summary: "{{ $value }} cells of the run {{ $labels.run }} were not run."
          description: "Their system could not be reached; the same command tries again."
"""


def configuration(scraped: Sequence[str], gateways: Sequence[str]) -> str:
    """Return a configuration that scrapes these addresses, ``HOST:PORT``.

    Parameters
    ----------
    scraped
        Where runs listen (the sink prometheus).
    gateways
        Pushgateways that they push to.
    """
    lines = [
        "# What a run shows is of the moment, so it is scraped often.",
        "global:",
        "  scrape_interval: 2s",
        "  evaluation_interval: 15s",
        "",
        f"rule_files: [{RULES_NAME}]",
        "",
        "scrape_configs:",
    ]
    for name, targets in (("deduplab", scraped), ("deduplab-pushgateway", gateways)):
        if targets:
            lines += [
                f"  - job_name: {name}",
                "    honor_labels: true  # a run names itself",
                "    static_configs:",
                f"      - targets: {json.dumps(list(targets))}",
            ]
    return "\n".join([*lines, ""])
