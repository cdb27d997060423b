"""The page of a scan: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import deduplab
from deduplab.bound.account import (
    Account,
    by_design,
    compression_error,
    few_sampled,
    packed_bytes,
    unknown_compression,
)
from deduplab.bound.columns import all_columns, column_bounds, finest
from deduplab.bound.results import Compression, GrainResult
from deduplab.errors import StoreError
from deduplab.report import scan_figures
from deduplab.report.page import Drawing, page_environment
from deduplab.units import format_bytes, format_seconds

ABSENT: Final = "–"
_MOST_LEFT_OUT: Final = 50


def write(account: Account, target: Path) -> Path:
    """Write the page of a scan into one HTML file and return its path.

    Raises
    ------
    StoreError
        If the file can't be written.
    """
    page = render(account)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the page can't be written to {target}: {error.strerror}") from error
    return target


def render(account: Account) -> str:
    """Return the page of a scan as HTML."""
    environment = page_environment()
    environment.filters |= {
        "size": lambda value: ABSENT if value is None else format_bytes(value),
        "ratio": _ratio,
        "percent": lambda value: ABSENT if value is None else f"±{value:.2%}",
        "count": lambda value: f"{value:,}".replace(",", "\u202f"),
        "seconds": format_seconds,
    }
    return environment.get_template("scan.html.j2").render(_content(account))


def _content(account: Account) -> dict[str, Any]:
    result = account.result
    columns = column_bounds(result)
    left_out = account.left_out
    return {
        "version": deduplab.__version__,
        "account": account,
        "absent": ABSENT,
        "result": result,
        "packed": {grain.grain: packed_bytes(grain) for grain in result.grains},
        "codecs": [one.codec for one in _compression(result.grains)],
        "few": few_sampled(result.grains),
        "packed_error": compression_error(result.grains),
        "packed_unknown": unknown_compression(result.grains),
        "drawings": _drawings(account),
        "columns": [all_columns(columns), *columns] if columns else [],
        "chunk_grain": finest(
            [grain.grain for stream in result.streams.values() for grain in stream.grains]
        ),
        "orders": _orders(account),
        "unread": account.unread[:_MOST_LEFT_OUT],
        "passed": [one for one in left_out if by_design(one)][:_MOST_LEFT_OUT],
        "passed_count": sum(by_design(one) for one in left_out),
        "rate": result.logical_bytes / account.duration_s / 1e6 if account.duration_s else None,
    }


def _compression(grains: list[GrainResult]) -> list[Compression]:
    """Return what compressors make of the first grain that had chunks in their sample."""
    return next((grain.compression for grain in grains if grain.compression), [])


def _drawings(account: Account) -> list[Drawing]:
    found = account.result.grains
    curves = [grain for grain in found if grain.distances.copies]
    best = {grain.grain: grain for grain in found}.get(finest([g.grain for g in found]) or "")
    shown = best or (found[0] if found else None)
    drawings = [
        ("Grains side by side; on the right, logical by unique bytes", scan_figures.grains(found)),
        (
            "How far back copies lie: what a window finds",
            scan_figures.distances(curves),
        ),
    ]
    if shown is not None:
        drawings.append((f"Copies at {shown.grain}", scan_figures.copies(shown)))
    return [Drawing(caption, svg) for caption, svg in drawings if svg is not None]


def _orders(account: Account) -> list[tuple[str, list[Any]]]:
    """Return a line a column: its name, and what it is in each order."""
    bounds = {order: column_bounds(result) for order, result in account.orders.items()}
    lines: dict[str, list[Any]] = {}
    for columns in bounds.values():
        for column in [all_columns(columns), *columns]:
            lines.setdefault(column.name, []).append(column)
    return list(lines.items())


def _ratio(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:.2f}×" if value < 100 else f"{value:,.0f}×"
