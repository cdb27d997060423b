"""What was found at each grain, as tables: unique bytes, compression, copies and distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from deduplab.bound.account import (
    compression_error,
    few_sampled,
    found_within,
    unknown_compression,
)
from deduplab.bound.columns import finest
from deduplab.bound.results import Bin, GrainResult
from deduplab.cli.scan_look import ABSENT, framed, ratio
from deduplab.cli.whole_tables import print_whole
from deduplab.units import format_bytes

_SHOWN_COPIES: Final = 6
_WIDE: Final = 92


def show_grains(console: Console, grains: Sequence[GrainResult], title: str) -> None:
    """Print unique bytes and compression, and how copies lie."""
    _unique(console, grains, title)
    _copies(console, grains)


def _unique(console: Console, grains: Sequence[GrainResult], title: str) -> None:
    sampled = any(grain.error for grain in grains)
    codecs = [one.codec for one in next((g.compression for g in grains if g.compression), [])]
    # A sample's table has one column more: on a narrow terminal, compressors go below.
    apart = sampled and bool(codecs) and console.width < _WIDE
    table = framed(title)
    table.add_column("grain", no_wrap=True)
    headings = ("unique", "ratio", *(("error",) if sampled else ()), "chunks")
    for heading in (*headings, *(() if apart else codecs)):
        table.add_column(heading, justify="right", no_wrap=True)
    for grain in grains:
        table.add_row(
            grain.grain,
            format_bytes(grain.unique_bytes),
            ratio(grain.ratio),
            *((_error_words(grain),) if sampled else ()),
            f"{grain.chunks:,}",
            *(() if apart else _packed(grain, codecs)),
        )
    print_whole(console, table)
    if apart:
        table = framed()
        table.add_column("grain", no_wrap=True)
        for codec in codecs:
            table.add_column(codec, justify="right", no_wrap=True)
        for grain in grains:
            table.add_row(grain.grain, *_packed(grain, codecs))
        print_whole(console, table)
    if codecs:
        _explain_packed(console, grains)
    if sampled:
        console.print("error: relative standard error of the unique bytes", style="dim")
        few = few_sampled(grains)
        if few:
            console.print(
                f"few chunks are in the sample at {', '.join(few)}: the error may be greater than "
                "it says; take a greater share",
                style="yellow",
                highlight=False,
            )


def _explain_packed(console: Console, grains: Sequence[GrainResult]) -> None:
    """Say what the two numbers of a compressor are, and how far they may be off."""
    lacking = any(not grain.compression for grain in grains)
    console.print(
        "zstd, lz4: ratio on unique chunks, and on all of them without deduplication; "
        "each chunk alone" + (f"; {ABSENT}: none in the sample" if lacking else ""),
        style="dim",
    )
    for words in (compression_error(grains), unknown_compression(grains)):
        if words:
            console.print(words, style="dim", highlight=False)


def _error_words(grain: GrainResult) -> str:
    """Write the relative standard error of a grain's unique bytes, in percent."""
    if grain.error is None:
        return ""
    relative = grain.error.relative_standard_error
    return "unknown" if relative is None else f"±{relative:.2%}"


def _packed(grain: GrainResult, codecs: Sequence[str]) -> list[str]:
    found = {
        one.codec: f"{one.unique_ratio:.2f} "
        + (ABSENT if one.all_ratio is None else f"{one.all_ratio:.2f}")
        for one in grain.compression
    }
    return [found.get(codec, ABSENT) for codec in codecs]


def _copies(console: Console, grains: Sequence[GrainResult]) -> None:
    """Say of the first and of the finest grain how often chunks are there, and how far apart."""
    finest_name = finest([grain.grain for grain in grains])
    table = framed()
    table.add_column("copies", no_wrap=True)
    table.add_column("chunks there once, twice, ...", overflow="fold")
    table.add_column("distance to the copy before", overflow="fold")
    for grain in grains:
        if grain is grains[0] or grain.grain == finest_name:
            table.add_row(grain.grain, _histogram(grain.copies), _distance(grain))
    print_whole(console, table)


def _histogram(copies: Sequence[Bin]) -> str:
    shown = [f"{one.count:,} {_times(one)}" for one in copies[:_SHOWN_COPIES]]
    rest = copies[_SHOWN_COPIES:]
    if rest:
        shown.append(f"{sum(one.count for one in rest):,} up to {rest[-1].greatest:,}x")
    return ", ".join(shown) or ABSENT


def _times(one: Bin) -> str:
    return f"{one.least}x" if one.least == one.greatest else f"{one.least}-{one.greatest}x"


def _distance(grain: GrainResult) -> str:
    distances = grain.distances
    if distances.median_bytes is None:
        # Several parts: distances are those within each.
        copied = any(one.greatest > 1 for one in grain.copies)
        return "not known: copies lie in different parts" if copied else "no copies"
    within = {share: _reach(grain, share) for share in (0.9, 1.0)}
    return (
        f"half within {format_bytes(distances.median_bytes)}, 90 % within {within[0.9]}, "
        f"all within {within[1.0]}"
    )


def _reach(grain: GrainResult, share: float) -> str:
    reached = found_within(grain.distances)
    # Limits of bins are 2^k - 1; the round number says the same.
    return next(format_bytes(window and window + 1) for window, found in reached if found >= share)
