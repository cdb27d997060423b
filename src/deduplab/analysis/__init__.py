"""What the measurements mean: rows of derived figures, calibration, attribution, tables."""

from deduplab.analysis.calibration import Calibration, calibrate
from deduplab.analysis.derive import rows
from deduplab.analysis.figures import Figures
from deduplab.analysis.known_answer import Check
from deduplab.analysis.row import Row, export_json
from deduplab.analysis.tables import Table, findings

__all__ = [
    "Calibration",
    "Check",
    "Figures",
    "Row",
    "Table",
    "calibrate",
    "export_json",
    "findings",
    "rows",
]
