"""What a run found, on the console: calibration, findings, and where the report lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deduplab import analysis
from deduplab.analysis.calibration import Calibration, calibrate
from deduplab.analysis.tables import findings
from deduplab.report import html
from deduplab.store import Run
