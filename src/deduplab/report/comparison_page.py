"""The page of a comparison: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import deduplab
from deduplab.analysis.change import Verdict
from deduplab.analysis.comparison import Comparison
from deduplab.errors import unwritten
from deduplab.report import comparison_wording as words
from deduplab.report.page import page_environment

Labelled = tuple[tuple[str, str], Comparison]
"""A comparison with a label of either side."""


def write(found: Sequence[Labelled], target: Path) -> Path:
    """Write the page of comparisons into one HTML file and return its path.

    Raises
    ------
    StoreError
        If the file can't be written.
    """
    page = render(found)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise unwritten(f"the page can't be written to {target}", error) from error
    return target


def render(found: Sequence[Labelled]) -> str:
    """Return the page of comparisons as HTML."""
    environment = page_environment()
    environment.filters |= {
        "place": words.place,
        "values": words.values,
        "change": words.change,
        "interval": words.interval,
        "counts": words.counts,
    }
    template = environment.get_template("comparison.html.j2")
    return template.render(version=deduplab.__version__, found=found, verdicts=Verdict)
