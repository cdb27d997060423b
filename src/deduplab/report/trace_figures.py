"""The figures of traces: sizes over seconds, what was done meanwhile, and CPU below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from deduplab.analysis.trace_rates import NS_PER_S, Curve
from deduplab.analysis.trace_spans import Span
from deduplab.analysis.traces import Picture
from deduplab.report.svg import INK, MUTED, PALETTE, board, inline
from deduplab.trace import PARTS
from deduplab.units import format_bytes

FILES_COLOUR: Final = PALETTE[0]
VOLUME_COLOUR: Final = PALETTE[3]
SYSTEM_COLOUR: Final = PALETTE[5]
CLIENT_COLOUR: Final = "#8d99a8"
PART_COLOURS: Final = dict(
    zip(PARTS, ("#5b6675", PALETTE[1], PALETTE[2], "#c9d0d8", PALETTE[7]), strict=True)
)
_BANDS: Final = ("#f1f4f7", "#ffffff")
_WIDTH_IN: Final = 4.6
_NAME_SIZE_PT: Final = 7.0
_CHARACTER_PT: Final = 0.64 * _NAME_SIZE_PT
_GAP_PT: Final = 4.0
_AXIS_PT: Final = 270.0
"""The least width of the axes, beside their labels: names are laid out in it."""


def trace(picture: Picture, name: str, description: str) -> Markup:
    """Draw one trace: sizes in multiples of logical bytes, a strip of what was done, and CPU."""
    with board(_WIDTH_IN, 2.75) as figure:
        sizes, strip, cpu = figure.subplots(
            3, 1, sharex=True, gridspec_kw={"height_ratios": (3.0, 0.16, 1.1)}
        )
        sizes.set_xlim(picture.begin_s, picture.end_s)
        for axes in (sizes, cpu):
            _bands(axes, picture.spans)
            axes.grid(axis="y")
        _line(sizes, picture.volume, VOLUME_COLOUR)
        _line(sizes, picture.files, FILES_COLOUR)
        _line(cpu, picture.client_cores, CLIENT_COLOUR)
        _line(cpu, picture.system_cores, SYSTEM_COLOUR)
        _names(sizes, picture)
        _strip(strip, picture.spans)
        _scale(sizes, [picture.files, picture.volume], 0.1)
        _scale(cpu, [picture.system_cores, picture.client_cores], 0.5)
        sizes.set_ylabel("bytes / L", fontsize=8)
        cpu.set_ylabel("cores", fontsize=8)
        logical = format_bytes(picture.logical_bytes)
        told = f"seconds    (L = {logical}; CPU over {picture.window_s:.2g} s)"
        cpu.set_xlabel(told, fontsize=8)
        for axes in (sizes, cpu):
            axes.tick_params(axis="y", labelsize=8)
        sizes.tick_params(axis="x", length=0)
        figure.align_ylabels([sizes, cpu])
        return inline(figure, name, description)


def _line(axes: Axes, curve: Curve | None, colour: str) -> None:
    """Draw what is known: lines between samples that follow each other, and lone ones as dots."""
    if curve is None or np.isnan(curve.values).all():
        return  # an empty line has no extent, which the layout can't take
    known = ~np.isnan(curve.values)
    beside = np.pad(known, 1)
    lone = known & ~beside[:-2] & ~beside[2:]
    axes.plot(curve.at_s, curve.values, color=colour, linewidth=1.3, solid_joinstyle="round")
    if lone.any():
        axes.plot(curve.at_s[lone], curve.values[lone], ".", color=colour, markersize=4)


def _scale(axes: Axes, curves: Sequence[Curve | None], least: float) -> None:
    """Let the axis begin at 0, and end above the greatest value and the least end."""
    tops = [np.nanmax(one.values) for one in curves if one and not np.isnan(one.values).all()]
    axes.set_ylim(0, max([least, *(1.06 * float(top) for top in tops)]))
    if not tops:
        axes.text(0.5, 0.5, "not seen", transform=axes.transAxes, ha="center", va="center",
                  color=MUTED, fontsize=8)  # fmt: skip


def _bands(axes: Axes, spans: Sequence[Span]) -> None:
    for number, (_, _, begin_s, end_s) in enumerate(_named(spans)):
        axes.axvspan(begin_s, end_s, color=_BANDS[number % 2], linewidth=0, zorder=0)


def _strip(axes: Axes, spans: Sequence[Span]) -> None:
    for part in (part for span in spans for part in span.parts if part.name):
        axes.axvspan(part.begin_ns / NS_PER_S, part.end_ns / NS_PER_S,
                     color=PART_COLOURS[part.name], linewidth=0)  # fmt: skip
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)


def _names(axes: Axes, picture: Picture) -> None:
    """Write the stages' names above their bands, moved apart where those are narrow."""
    named = _named(picture.spans)
    length_s = picture.end_s - picture.begin_s
    words = [name if count == 1 else f"{name} ×{count}" for name, count, _, _ in named]
    centres = [
        min(1.0, max(0.0, ((begin_s + end_s) / 2 - picture.begin_s) / length_s))
        for _, _, begin_s, end_s in named
    ]
    widths = [(_CHARACTER_PT * len(text) + _GAP_PT) / _AXIS_PT for text in words]
    rows = 1 if sum(widths) <= 1 else 2
    for row in reversed(range(rows)):  # the lower names lie over what leads to the upper ones
        chosen = slice(row, None, rows)
        places = apart(centres[chosen], widths[chosen])
        for text, centre, place in zip(words[chosen], centres[chosen], places, strict=True):
            axes.annotate(
                text, (centre, 1.0), xytext=(place, 1.07 + 0.09 * row), xycoords="axes fraction",
                ha="center", va="bottom", fontsize=_NAME_SIZE_PT, color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
                arrowprops={"arrowstyle": "-", "color": "#9aa4b1", "linewidth": 0.6,
                            "shrinkA": 0, "shrinkB": 0, "relpos": (0.5, 0.0)},
            )  # fmt: skip


def apart(centres: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Move things of given widths apart, in their order and within 0 to 1 where they fit."""
    places: list[float] = []
    right = 0.0
    for centre, width in zip(centres, widths, strict=True):
        places.append(max(centre, right + width / 2))
        right = places[-1] + width / 2
    left = 1.0
    for number in reversed(range(len(places))):
        places[number] = min(places[number], left - widths[number] / 2)
        left = places[number] - widths[number] / 2
    return places


def _named(spans: Sequence[Span]) -> list[tuple[str, int, float, float]]:
    """Return the stages with their times; the modes of one that follow each other are one."""
    found = []
    for name, group in groupby(spans, key=lambda span: span.name):
        parts = list(group)
        begin_s, end_s = parts[0].begin_ns / NS_PER_S, parts[-1].end_ns / NS_PER_S
        found.append((name, len(parts), begin_s, end_s))
    return found
