"""The figures of a scan's page: they draw what the account gives, and derive nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from deduplab.bound.account import found_within, packed_bytes
from deduplab.bound.results import Bin, GrainResult
from deduplab.report.svg import PALETTE, board, inline
from deduplab.units import KIB, format_bytes

_LOGICAL: Final = "#c9d0d8"
_BAR: Final = 0.8


def grains(found: Sequence[GrainResult]) -> Markup | None:
    """Draw each grain's bytes: all of them, the unique ones, and these compressed."""
    if not found or not found[0].logical_bytes:
        return None
    packed = [packed_bytes(grain) for grain in found]
    has_packed = any(value is not None for value in packed)
    logical_bytes = found[0].logical_bytes
    with board(7.4, 1.0 + 0.3 * len(found)) as figure:
        axes = figure.subplots()
        places = range(len(found))
        axes.barh(places, [logical_bytes] * len(found), _BAR, color=_LOGICAL, label="logical")
        axes.barh(
            places, [one.unique_bytes for one in found], _BAR, color=PALETTE[0], label="unique"
        )
        if has_packed:
            axes.barh(
                places,
                [value or 0 for value in packed],
                _BAR / 2,
                color=PALETTE[1],
                label="unique, by zstd-3",
            )
        for place, grain in enumerate(found):
            if grain.error is not None:
                least, greatest = grain.error.unique_bytes_interval
                axes.plot([least, greatest], [place, place], color="#1c2430", linewidth=1.2)
            label = f"{grain.ratio:.2f}x" if grain.ratio else ""
            axes.text(logical_bytes * 1.01, place, label, va="center", fontsize=8)
        axes.set_yticks(list(places), [grain.grain for grain in found])
        axes.invert_yaxis()
        axes.set_xlim(0, logical_bytes * 1.12)
        _byte_axis(axes, logical_bytes)
        axes.grid(axis="x")
        figure.legend(loc="outside lower center", ncols=3)
        return inline(figure, "scan-grains", "Bytes by grain: logical, unique, compressed")


def distances(found: Sequence[GrainResult]) -> Markup | None:
    """Draw what share of the copies a window of so many bytes finds."""
    with_copies = [grain for grain in found if grain.distances.copies]
    if not with_copies:
        return None
    with board(5.2, 3.1) as figure:
        axes = figure.subplots()
        colours = {"whole": PALETTE[7], "fixed": PALETTE[1], "content-defined": PALETTE[0]}
        styles = ("-", "--", ":", "-.", (0, (1, 3)))
        drawn: dict[str, int] = {}
        farthest = 1
        for grain in with_copies:
            order = drawn[grain.kind] = drawn.get(grain.kind, -1) + 1
            least = grain.distances.histogram_bytes[0].least
            curve = [(least, 0.0), *found_within(grain.distances)]
            farthest = max(farthest, curve[-1][0])
            axes.step(
                [max(1, window) for window, _ in curve],
                [share for _, share in curve],
                where="post",
                color=colours[grain.kind],
                linestyle=styles[order % len(styles)],
                linewidth=1.5,
                label=grain.grain,
            )
        axes.set_xscale("log", base=2)
        axes.set_xlim(0.7, max(1024, farthest * 2))
        axes.xaxis.set_major_locator(LogLocator(base=1024))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_bytes(value)))
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        axes.set_xlabel("window: distance back to the copy before")
        axes.set_ylabel("copies found")
        axes.grid(axis="both")
        figure.legend(loc="outside lower center", ncols=4)
        return inline(figure, "scan-distances", "Share of copies found by the length of a window")


def copies(grain: GrainResult) -> Markup | None:
    """Draw how many chunks of a grain are there once, twice, and so on."""
    if not grain.copies:
        return None
    with board(5.2, 2.7) as figure:
        axes = figure.subplots()
        places = range(len(grain.copies))
        axes.bar(places, [one.count for one in grain.copies], 0.8, color=PALETTE[0])
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.set_xticks(list(places), [_times(one) for one in grain.copies])
        if len(grain.copies) > 8:
            axes.tick_params(axis="x", labelrotation=60)
        axes.set_xlabel("times a chunk is there")
        axes.set_ylabel("distinct chunks")
        axes.grid(axis="y")
        return inline(figure, "scan-copies", f"Histogram of copies at {grain.grain}")


def _byte_axis(axes: Axes, most_bytes: int) -> None:
    """Put ticks at round numbers of the greatest binary unit that fits."""
    power = next((place for place in (4, 3, 2, 1) if most_bytes >= 2 * KIB**place), 0)
    unit_bytes = KIB**power
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, most_bytes / unit_bytes)
    shown = [tick for tick in ticks if tick * unit_bytes <= most_bytes * 1.02]
    name = ("B", "KiB", "MiB", "GiB", "TiB")[power]
    axes.set_xticks([tick * unit_bytes for tick in shown], [f"{tick:g} {name}" for tick in shown])
    axes.tick_params(axis="y", length=0)


def _times(one: Bin) -> str:
    return f"{one.least}" if one.least == one.greatest else f"{one.least}-{one.greatest}"
