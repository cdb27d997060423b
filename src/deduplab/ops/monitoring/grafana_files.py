"""What Grafana is provisioned with: the data source, and the folder that the dashboard lies in."""

from __future__ import annotations

import json
from typing import Final

DASHBOARDS: Final = """\
# For Grafana's provisioning/dashboards; the path is that of dashboards/ where Grafana runs.
apiVersion: 1
providers:
  - name: deduplab
    folder: deduplab
    type: file
    options:
      path: /var/lib/grafana/dashboards
"""


def data_source(url: str) -> str:
    """Return the provisioning of a data source: the Prometheus at this URL."""
    return (
        "# For Grafana's provisioning/datasources.\n"
        "apiVersion: 1\n"
        "datasources:\n"
        "  - name: deduplab\n"
        "    uid: deduplab\n"
        "    type: prometheus\n"
        "    access: proxy\n"
        f"    url: {json.dumps(url)}\n"
        "    jsonData:\n"
        "      timeInterval: 2s  # how often it scrapes\n"
    )
