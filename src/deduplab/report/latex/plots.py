"""The figures of a paper: PDF, one column wide, told apart without colour.

Equal runs give equal bytes: their date is the run's. They draw what analysis gives, and derive
nothing.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from deduplab.analysis.lookup import MOMENTS
from deduplab.analysis.row import Row
from deduplab.analysis.series import StageTiming, Timings
from deduplab.analysis.tables import Finding
from deduplab.units import two_digits

WIDTH_IN: Final = 3.33
"""One column of a page with two."""

_INK: Final = "black"
_GREAT: Final = 1e5  # from here on ticks are powers of ten
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NAME_LETTERS: Final = 18
_LEAST_ETA: Final = -0.5  # what lies below is drawn at the edge, with its number
# Marker and filling of each distance; exact ones take what is left, in order.
_DISTANCES: Final = {"adjacent": ("o", "white"), "shuffled": ("D", _INK)}
_OTHERS: Final = (("s", "white"), ("^", _INK), ("v", "white"), ("s", _INK), ("P", "white"))
_STAGES: Final = {"bulk": ("o", _INK), "insert": ("s", "white"), "read": ("D", "0.6")}
_STYLE: Final = {
    "pdf.fonttype": 42,
    "pdf.use14corefonts": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 6.5,
    "text.parse_math": False,  # names are text, whatever signs they hold
    "axes.unicode_minus": True,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 6.5,
    "grid.color": "0.85",
    "grid.linewidth": 0.4,
    "lines.markersize": 3.6,
    "lines.markeredgewidth": 0.7,
    "xtick.major.width": 0.5,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 6.5,
    "legend.handletextpad": 0.2,
    "legend.columnspacing": 1.2,
}


def efficiency(findings: Sequence[Finding], begun: datetime) -> bytes | None:
    """Draw eta of each system at the three moments, a mark a distance; None without any."""
    shown = [finding for finding in findings if any(_values(finding))]
    if not shown:
        return None
    distances = list(dict.fromkeys(cost.distance for entry in shown for cost in entry.costs))
    styles = _styles(distances)
    line_in = _line_in((entry.name for entry in shown), 0.12 + 0.1 * len(distances))
    with _board(0.75 + line_in * len(shown)) as figure:
        panels = figure.subplots(1, len(MOMENTS), sharey=True, sharex=True)
        for axes, moment in zip(panels, MOMENTS, strict=True):
            for index, distance in enumerate(distances):
                shift = (index - (len(distances) - 1) / 2) * 0.7 / len(distances)
                for line, entry in enumerate(shown):
                    cost = entry.at(distance, moment)
                    _eta(axes, cost.dedup_efficiency if cost else None, line + shift,
                         styles[distance])  # fmt: skip
            axes.set_title(f"at {moment}" if moment != "reclaim" else "after reclaim")
            axes.set_xlim(_left(shown), 1.12)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            for place, dashes in ((0, "-"), (1, (0, (3, 2)))):
                axes.axvline(place, color="0.6", linewidth=0.6, zorder=0, linestyle=dashes)
            axes.grid(axis="y")
        _name_lines(panels[0], [entry.name for entry in shown])
        figure.supxlabel("eta: 0 = a copy costs as much as the first, 1 = nothing", fontsize=6.5)
        handles = [
            _handle(styles[one], one if isinstance(one, str) else f"{one} bytes apart")
            for one in distances
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
        return _pdf(figure, begun, "Deduplication efficiency by system, moment and distance")


def throughput(timings: Sequence[Timings], begun: datetime) -> bytes | None:
    """Draw MB/s of bulk, insert and read, with intervals; None without any."""
    line_in = _line_in((timing.subject.name for timing in timings), 0.24)
    with _board(0.75 + line_in * len(timings)) as figure:
        axes = figure.subplots()
        drawn = [
            _mark(axes, row.value / 1e6, line + shift, _STAGES[stage],
                  _ends(row.ci_low, row.ci_high, 1e6))
            for line, shift, stage, timed in _places(timings)
            for row in [timed.bytes_per_s]
            if row is not None and row.value
        ]  # fmt: skip
        if not drawn:
            return None
        _logarithmic(axes, timings)
        axes.set_xlabel("MB/s of logical bytes")
        handles = [_handle(style, stage) for stage, style in _STAGES.items()]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
        return _pdf(figure, begun, "Throughput of bulk, insert and read by system")


def latency(timings: Sequence[Timings], begun: datetime) -> bytes | None:
    """Draw the latency of one insert and one read, p50 with a line to p99; None without any."""
    line_in = _line_in((timing.subject.name for timing in timings), 0.24)
    with _board(0.75 + line_in * len(timings)) as figure:
        axes = figure.subplots()
        drawn = [
            _mark(axes, entry.p50.value / 1e3, line + shift, _STAGES[stage],
                  _ends(entry.p50.value, entry.p99.value if entry.p99 else None, 1e3))
            for line, shift, stage, entry in _places(timings)
            if stage != "bulk" and entry.p50 is not None and entry.p50.value
        ]  # fmt: skip
        if not drawn:
            return None
        _logarithmic(axes, timings)
        axes.set_xlabel("µs for one object: mark p50, line to p99")
        handles = [_handle(_STAGES[stage], stage) for stage in ("insert", "read")]
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
        return _pdf(figure, begun, "Latency of insert and read by system")


@contextmanager
def _board(height_in: float) -> Iterator[Figure]:
    with matplotlib.rc_context(rc=_style()):
        yield Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def _style() -> Any:
    """Return the style; typed loosely, as matplotlib wants its names as literals."""
    return dict(_STYLE)


def _pdf(figure: Figure, begun: datetime, title: str) -> bytes:
    target = io.BytesIO()
    told = {"Title": title, "Creator": "deduplab", "Producer": None, "CreationDate": begun}
    figure.savefig(target, format="pdf", metadata=told)
    return target.getvalue()


def _styles(distances: Sequence[str | int]) -> dict[str | int, tuple[str, str]]:
    others = iter(_OTHERS * (1 + len(distances) // len(_OTHERS)))
    return {one: _DISTANCES.get(str(one)) or next(others) for one in distances}


def _values(finding: Finding) -> Iterator[bool]:
    for cost in finding.costs:
        yield cost.dedup_efficiency is not None and cost.dedup_efficiency.value is not None


def _left(findings: Sequence[Finding]) -> float:
    """Return where the axis of eta begins: near 0 where nothing, and no interval, is below it."""
    rows = [cost.dedup_efficiency for entry in findings for cost in entry.costs]
    had = [row for row in rows if row is not None and row.value is not None]
    least = min(min(row.value or 0.0, row.ci_low or 0.0) for row in had)
    return -0.16 if least > -0.1 else _LEAST_ETA - 0.08


def _eta(axes: Axes, row: Row | None, line: float, style: tuple[str, str]) -> None:
    if row is None or row.value is None:
        return
    at = max(row.value, _LEAST_ETA)
    ends = _ends(row.ci_low, row.ci_high)
    _mark(axes, at, line, style, [max(end, _LEAST_ETA) for end in ends])
    if row.value < _LEAST_ETA:
        axes.annotate(two_digits(row.value), (at, line), xytext=(4, 0), fontsize=5.5,
                      textcoords="offset points", va="center")  # fmt: skip


def _ends(low: float | None, high: float | None, divisor: float = 1.0) -> list[float]:
    return [] if low is None or high is None else [low / divisor, high / divisor]


def _mark(
    axes: Axes, at: float, line: float, style: tuple[str, str], ends: Sequence[float]
) -> Line2D:
    """Draw a mark, and below it a line between two ends where there are any."""
    if ends:
        axes.plot(ends, [line, line], color=_INK, linewidth=0.9, zorder=2, clip_on=False)
    marker, face = style
    (drawn,) = axes.plot([at], [line], marker, markerfacecolor=face, markeredgecolor=_INK,
                         linestyle="none", zorder=3, clip_on=False)  # fmt: skip
    return drawn


def _handle(style: tuple[str, str], label: str) -> Line2D:
    marker, face = style
    return Line2D([], [], linestyle="none", marker=marker, markerfacecolor=face,
                  markeredgecolor=_INK, label=label)  # fmt: skip


def _places(timings: Sequence[Timings]) -> Iterator[tuple[int, float, str, StageTiming]]:
    """Yield where each stage of each subject is drawn: its line, shifted by the stage."""
    for line, timing in enumerate(timings):
        for number, stage in enumerate(_STAGES):
            for entry in timing.stages:
                if entry.stage == stage:
                    yield line, (number - 1) * 0.22, stage, entry


def _logarithmic(axes: Axes, timings: Sequence[Timings]) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high < 50 * low else (1,)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=steps, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, position: _tick(value))
    axes.grid(axis="both")
    _name_lines(axes, [timing.subject.name for timing in timings])


def _tick(value: float) -> str:
    """Write what stands at a tick of a logarithmic axis; great powers of ten as such."""
    mantissa, _, exponent = f"{value:e}".partition("e+")
    if value < _GREAT or float(mantissa) != 1:
        return f"{value:g}"
    return f"10{str(int(exponent)).translate(_RAISED)}"


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
    """Name the lines, the first at the top."""
    axes.set_yticks(range(len(names)), [_broken(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def _broken(name: str) -> str:
    """Break a long name where its variant begins, at blanks and hyphens, or where it must be."""
    if len(name) <= _NAME_LETTERS:
        return name
    system, stroke, variant = name.partition("/")
    return "\n".join([f"{system}{stroke}", *textwrap.wrap(variant, _NAME_LETTERS)])


def _line_in(names: Iterable[str], least_in: float) -> float:
    """Return how high a line is to be, so that the names beside it have room."""
    return max([least_in, *(0.11 * (2 + _broken(name).count("\n")) for name in names)])
