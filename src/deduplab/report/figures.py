"""The figures of the report: they draw what analysis gives, and derive nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from deduplab.analysis.coverage import Trouble
from deduplab.analysis.lookup import FILES, MOMENTS
from deduplab.analysis.row import Row
from deduplab.analysis.series import Bars, Timings
from deduplab.analysis.tables import Finding
from deduplab.report.svg import INK, PALETTE, board, inline
from deduplab.report.wording import short
from deduplab.units import two_digits

_MARKS: Final = {"adjacent": ("o", PALETTE[0]), "shuffled": ("D", PALETTE[5])}
_OTHER_MARK: Final = ("s", PALETTE[2])
_LEAST_ETA: Final = -0.5  # what lies below is drawn at the edge, with its number
_COMPONENT_COLOURS: Final = {
    "data": PALETTE[0],
    "index": PALETTE[1],
    "wal": PALETTE[3],
    "log": PALETTE[3],
    "metadata": PALETTE[7],
    "toast": PALETTE[4],
    "temporary": PALETTE[5],
    "free": "#c9d0d8",
    "directories": "#8d99a8",
}


def efficiency(findings: Sequence[Finding], name: str) -> Markup | None:
    """Draw eta of every system at the three moments, one mark a distance, with intervals."""
    shown = [finding for finding in findings if _has_eta(finding)]
    if not shown:
        return None
    distances = list(dict.fromkeys(cost.distance for entry in shown for cost in entry.costs))
    with board(7.4, 1.45 + 0.34 * len(shown)) as figure:
        panels = figure.subplots(1, len(MOMENTS), sharey=True, sharex=True)
        for axes, moment in zip(panels, MOMENTS, strict=True):
            for index, distance in enumerate(distances):
                shift = (index - (len(distances) - 1) / 2) * 0.26
                rows = [
                    (line + shift, cost.dedup_efficiency if cost else None)
                    for line, entry in enumerate(shown)
                    for cost in [entry.at(distance, moment)]
                ]
                _eta_marks(axes, rows, distance)
            axes.set_title(f"at {moment}" if moment != "reclaim" else "after reclaim")
            axes.set_xlim(_LEAST_ETA - 0.06, 1.12)
            axes.set_xticks([-0.5, 0, 0.5, 1], ["-0.5", "0", "0.5", "1"])
            axes.axvline(0, color="#9aa4b1", linewidth=0.8, zorder=0)
            axes.axvline(1, color="#9aa4b1", linewidth=0.8, zorder=0, linestyle=(0, (3, 2)))
            axes.grid(axis="y")
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(shown)), [entry.name for entry in shown])
        panels[0].set_ylim(len(shown) - 0.5, -0.5)
        figure.supxlabel(
            "eta: 0 = a copy costs what the first one cost, 1 = copies are free", fontsize=9
        )
        handles = [
            Line2D([], [], linestyle="none", marker=_mark(distance)[0], color=_mark(distance)[1],
                   label=distance if isinstance(distance, str) else f"{distance} bytes apart")
            for distance in distances
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside upper left", ncols=len(distances))
        return inline(figure, name, "Deduplication efficiency by system, moment and distance")


def _mark(distance: str | int) -> tuple[str, str]:
    return _MARKS.get(str(distance), _OTHER_MARK)


def _has_eta(finding: Finding) -> bool:
    rows = [cost.dedup_efficiency for cost in finding.costs]
    return any(row is not None and row.value is not None for row in rows)


def _eta_marks(axes: Axes, rows: Sequence[tuple[float, Row | None]], distance: str | int) -> None:
    marker, colour = _mark(distance)
    had = [
        (line, row, row.value) for line, row in rows if row is not None and row.value is not None
    ]
    if not had:
        return  # an empty unclipped line has no extent, which the layout can't take
    axes.plot(
        [max(value, _LEAST_ETA) for _, _, value in had], [line for line, _, _ in had], marker,
        color=colour, markersize=5.5, markeredgecolor="white", markeredgewidth=0.6,
        linestyle="none", clip_on=False,
    )  # fmt: skip
    for line, row, value in had:
        if row.ci_low is not None and row.ci_high is not None:
            ends = [max(row.ci_low, _LEAST_ETA), max(row.ci_high, _LEAST_ETA)]
            axes.plot(ends, [line, line], color=colour, linewidth=1.6, zorder=1)
        if value < _LEAST_ETA:
            axes.annotate(two_digits(value), (_LEAST_ETA, line), xytext=(6, 0), fontsize=7.5,
                          textcoords="offset points", va="center", color=colour)  # fmt: skip


def footprints(bars: Bars, name: str) -> Markup:
    """Draw the settled footprints of one subject over the chain, stacked by component."""
    components = list(dict.fromkeys(part for bar in bars.bars for part in bar.parts))
    spare = [colour for colour in PALETTE if colour not in _COMPONENT_COLOURS.values()]
    with board(4.6, 0.95 + 0.25 * len(bars.bars)) as figure:
        axes = figure.subplots()
        ends = [0.0] * len(bars.bars)
        for index, component in enumerate(components):
            widths = [bar.parts.get(component, 0.0) for bar in bars.bars]
            colour = _COMPONENT_COLOURS.get(component, spare[index % len(spare)])
            axes.barh(range(len(ends)), widths, left=ends, height=0.68, color=colour,
                      label=component)  # fmt: skip
            ends = [end + width for end, width in zip(ends, widths, strict=True)]
        for line, (bar, end) in enumerate(zip(bars.bars, ends, strict=True)):
            words = (
                short(bar.reason, "not counted")
                if bar.total_ratio is None
                else two_digits(bar.total_ratio)
            )
            axes.annotate(words, (end, line), xytext=(4, 0), textcoords="offset points",
                          va="center", fontsize=8, color=INK)  # fmt: skip
        axes.set_yticks(range(len(bars.bars)), [bar.label for bar in bars.bars])
        axes.set_ylim(len(bars.bars) - 0.5, -0.5)
        axes.margins(x=0.12)
        axes.set_xlim(left=0)
        what = "bytes in files" if bars.layer == FILES[0] else "bytes as the system reports them"
        axes.set_xlabel(f"{what} / logical bytes of bulk")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        if components:
            figure.legend(loc="outside upper left", ncols=min(5, len(components)),
                          handlelength=1, columnspacing=1)  # fmt: skip
        return inline(figure, name, f"Footprint of {bars.subject.name} over the stages")


def throughput(timings: Sequence[Timings], name: str) -> Markup | None:
    """Draw logical bytes a second of bulk, insert and read, with intervals; logarithmic axis."""
    stages = ("bulk", "insert", "read")
    with board(7.4, 1.25 + 0.26 * len(timings)) as figure:
        axes = figure.subplots()
        drawn = False
        for number, (stage, marker) in enumerate(zip(stages, "osD", strict=True)):
            colour = PALETTE[(0, 5, 2)[number]]
            rates = [
                (entry.bytes_per_s, entry.bytes_per_s.value, line + (number - 1) * 0.2)
                for line, timing in enumerate(timings)
                for entry in timing.stages
                if entry.stage == stage and entry.bytes_per_s and entry.bytes_per_s.value
            ]
            drawn = drawn or bool(rates)
            axes.plot([value / 1e6 for _, value, _ in rates], [line for _, _, line in rates],
                      marker, label=stage, color=colour, markersize=6, markeredgecolor="white",
                      markeredgewidth=0.6, linestyle="none")  # fmt: skip
            for row, _, line in rates:
                if row.ci_low and row.ci_high:
                    ends = [row.ci_low / 1e6, row.ci_high / 1e6]
                    axes.plot(ends, [line, line], color=colour, linewidth=1.6, zorder=1)
        if not drawn:
            return None
        _system_axis(axes, timings)
        axes.set_xlabel("MB/s of logical bytes (timed regions alone, logarithmic)")
        figure.legend(loc="outside upper left", ncols=3)
        return inline(figure, name, "Throughput of bulk, insert and read by system")


def latency(timings: Sequence[Timings], name: str) -> Markup | None:
    """Draw the latency of one insert and one read: a mark at p50, a line to p99."""
    with board(7.4, 1.25 + 0.26 * len(timings)) as figure:
        axes = figure.subplots()
        drawn = False
        for stage, marker, colour, shift in (
            ("insert", "s", PALETTE[5], -0.13),
            ("read", "D", PALETTE[2], 0.13),
        ):
            label: str | None = stage
            for line, timing in enumerate(timings):
                entry = next((one for one in timing.stages if one.stage == stage), None)
                if entry is None or not (entry.p50 and entry.p50.value):
                    continue
                low, at = entry.p50.value / 1e3, line + shift
                high = entry.p99.value / 1e3 if entry.p99 and entry.p99.value else low
                axes.plot([low, high], [at, at], color=colour, linewidth=1.6, zorder=1)
                axes.plot([low], [at], marker, color=colour, markersize=5.5, label=label,
                          markeredgecolor="white", linestyle="none")  # fmt: skip
                label, drawn = None, True
        if not drawn:
            return None
        _system_axis(axes, timings)
        axes.set_xlabel("µs for one object: mark p50, line to p99 (logarithmic)")
        figure.legend(loc="outside upper left", ncols=2)
        return inline(figure, name, "Latency of insert and read by system")


def curve(trouble: Trouble, name: str) -> Markup | None:
    """Draw the size of a system's files while it was waited for, small."""
    if len(trouble.curve) < 2:
        return None
    with board(1.7, 0.42, fitted=False) as figure:
        axes = figure.add_axes((0.02, 0.08, 0.96, 0.84))
        axes.plot(
            [at for at, _ in trouble.curve], [size for _, size in trouble.curve],
            color=PALETTE[0], linewidth=1.2,
        )  # fmt: skip
        axes.set_axis_off()
        return inline(figure, name, "Bytes in files while waiting for rest")


def _system_axis(axes: Axes, timings: Sequence[Timings]) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high < 500 * low else (1,)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=steps, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(timings)), [timing.subject.name for timing in timings])
    axes.set_ylim(len(timings) - 0.5, -0.5)
    axes.grid(axis="both")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
