"""A scan for people: tables that fit a terminal of 80 columns (100 where it was sampled)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deduplab.bound.account import Account, FilesOnDisk, by_design, few_sampled, found_within
from deduplab.bound.columns import ColumnBound, all_columns, column_bounds, finest
from deduplab.bound.results import Bin, Comparison, GrainResult, SharedGrain
from deduplab.bound.stream import LeftOut
from deduplab.units import format_bytes, format_seconds

ABSENT: Final = "-"
_FIRST_LEFT_OUT: Final = 5
_MOST_COLUMNS: Final = 40
_SHOWN_COPIES: Final = 6
_WIDE: Final = 92


def show(console: Console, account: Account) -> None:
    """Print an account of a scan."""
    result = account.result
    console.print(f"[bold]{_escaped(', '.join(result.sources))}[/bold]", highlight=False)
    console.print(_head(account), highlight=False)
    columns = column_bounds(result)
    if result.grains:
        _grains(console, result.grains, "rows" if columns else "")
        _copies(console, result.grains)
    if columns:
        _columns(console, columns, account)
    for_orders = {order: column_bounds(one) for order, one in account.orders.items()}
    if for_orders:
        _orders(console, for_orders)
    if account.on_disk is not None:
        _on_disk(console, account.on_disk)
    _left_out(console, account.left_out)


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Print what two data sets share."""
    first, second = ", ".join(comparison.first), ", ".join(comparison.second)
    console.print(f"A: {_escaped(first)}\nB: {_escaped(second)}", highlight=False)
    for name, grains in comparison.streams.items():
        table = _table(f"unique bytes, column {_escaped(name)}" if name else "unique bytes")
        for heading in ("grain", "of A", "of B", "shared", "of A", "of B", "error"):
            table.add_column(heading, justify="left" if heading == "grain" else "right")
        for grain in grains:
            table.add_row(*_shared(grain))
        console.print(table)


def ratio(value: float | None) -> str:
    """Write a ratio for people."""
    if value is None:
        return ABSENT
    return f"{value:.2f}x" if value < 100 else f"{value:,.0f}x"


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def error_words(grain: GrainResult) -> str:
    """Write the relative standard error of a grain's unique bytes, in percent."""
    if grain.error is None:
        return ""
    relative = grain.error.relative_standard_error
    return "unknown" if relative is None else f"±{relative:.2%}"


def _head(account: Account) -> str:
    result = account.result
    parts = [f"{counted(result.objects, 'object')}, {format_bytes(result.logical_bytes)}"]
    parts.append("sampled" if result.sampled else "exact")
    if account.duration_s:
        many = f" by {account.processes} processes" if account.processes > 1 else ""
        rate = result.logical_bytes / account.duration_s / 1e6
        parts.append(f"{format_seconds(account.duration_s)}{many}, {rate:,.0f} MB/s")
    if result.shards > 1:
        parts.append(f"merged from {result.shards} parts")
    return "; ".join(parts)


def _table(title: str = "") -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        title=title or None,
        title_justify="left",
        title_style="bold",
    )


def _grains(console: Console, grains: Sequence[GrainResult], title: str) -> None:
    sampled = any(grain.error for grain in grains)
    codecs = [one.codec for one in next((g.compression for g in grains if g.compression), [])]
    # A sample's table has one column more: on a narrow terminal, compressors go below.
    apart = sampled and bool(codecs) and console.width < _WIDE
    table = _table(title)
    table.add_column("grain", no_wrap=True)
    headings = ("unique", "ratio", *(("error",) if sampled else ()), "chunks")
    for heading in (*headings, *(() if apart else codecs)):
        table.add_column(heading, justify="right", no_wrap=True)
    for grain in grains:
        table.add_row(
            grain.grain,
            format_bytes(grain.unique_bytes),
            ratio(grain.ratio),
            *((error_words(grain),) if sampled else ()),
            f"{grain.chunks:,}",
            *(() if apart else _packed(grain, codecs)),
        )
    console.print(table)
    if apart:
        table = _table()
        table.add_column("grain", no_wrap=True)
        for codec in codecs:
            table.add_column(codec, justify="right", no_wrap=True)
        for grain in grains:
            table.add_row(grain.grain, *_packed(grain, codecs))
        console.print(table)
    if codecs:
        lacking = any(not grain.compression for grain in grains)
        console.print(
            "zstd, lz4: ratio on unique chunks, and on all of them without deduplication; "
            "each chunk alone" + (f"; {ABSENT}: none in the sample" if lacking else ""),
            style="dim",
        )
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


def _packed(grain: GrainResult, codecs: Sequence[str]) -> list[str]:
    found = {one.codec: f"{one.unique_ratio:.2f} {one.all_ratio:.2f}" for one in grain.compression}
    return [found.get(codec, ABSENT) for codec in codecs]


def _copies(console: Console, grains: Sequence[GrainResult]) -> None:
    """Say of the first and of the finest grain how often chunks are there, and how far apart."""
    finest_name = finest([grain.grain for grain in grains])
    table = _table()
    table.add_column("copies", no_wrap=True)
    table.add_column("chunks there once, twice, ...", overflow="fold")
    table.add_column("distance to the copy before", overflow="fold")
    for grain in grains:
        if grain is grains[0] or grain.grain == finest_name:
            table.add_row(grain.grain, _histogram(grain.copies), _distance(grain))
    console.print(table)


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


def _columns(console: Console, columns: Sequence[ColumnBound], account: Account) -> None:
    what = "pages" if account.page_bytes else "values"
    whole = f" of {format_bytes(account.page_bytes)}" if account.page_bytes else ""
    table = _table(f"columns, by {what}{whole}")
    table.add_column("column", overflow="fold")
    grain = finest(
        [one.grain for stream in account.result.streams.values() for one in stream.grains]
    )
    for heading in (what, "bytes", "distinct", "ratio", grain or "chunks", "zstd-3"):
        table.add_column(heading, justify="right", no_wrap=True)
    by_size = sorted(columns, key=lambda column: -column.logical_bytes)
    for column in [all_columns(columns), *by_size[:_MOST_COLUMNS]]:
        table.add_row(
            _escaped(column.name),
            f"{column.objects:,}",
            format_bytes(column.logical_bytes),
            ABSENT if column.unique_bytes is None else format_bytes(column.unique_bytes),
            ratio(column.value_ratio),
            ratio(column.chunk_ratio),
            ratio(column.packed_ratio),
        )
    console.print(table)
    console.print(
        f"ratio: all by distinct {what}; {grain or 'chunks'}: by chunks within them; "
        f"zstd-3: all {what}, each alone, without deduplication",
        style="dim",
    )
    if len(columns) > _MOST_COLUMNS:
        console.print(f"and {len(columns) - _MOST_COLUMNS} smaller columns; --json has them all")


def _orders(console: Console, orders: dict[str, list[ColumnBound]]) -> None:
    """Show chunk ratio and compression of pages of values, order by order."""
    table = _table("pages of columns by the order of rows")
    table.add_column("column", overflow="fold")
    for order in orders:
        table.add_column(_escaped(order), justify="right")
    found = {
        order: {column.name: column for column in [all_columns(columns), *columns]}
        for order, columns in orders.items()
    }
    names = next(iter(found.values()))
    by_size = sorted(names, key=lambda name: -names[name].logical_bytes)
    for name in by_size[: _MOST_COLUMNS + 1]:
        cells = [found[order].get(name) for order in orders]
        table.add_row(
            _escaped(name),
            *(
                f"{ratio(cell.chunk_ratio)} {ratio(cell.packed_ratio)}" if cell else ABSENT
                for cell in cells
            ),
        )
    console.print(table)
    console.print("ratio by chunks, and of zstd-3 on each page without deduplication", style="dim")


def _on_disk(console: Console, files: FilesOnDisk) -> None:
    console.print(
        f"files: {format_bytes(files.apparent_bytes)} long, "
        f"{format_bytes(files.allocated_bytes)} allocated; a deduplicating volume below saves "
        "at most what the fixed and content-defined grains say",
        highlight=False,
    )
    planted = files.planted
    if planted is None:
        return
    sample = "" if planted.share == 1 else f" (a sample of {planted.share:g} of them)"
    console.print(
        f"planted: {planted.payloads:,} payloads{sample}, stored {planted.planted:,} times, are "
        f"there {planted.found:,} times",
        highlight=False,
    )
    table = _table()
    table.add_column("physical copies", justify="right")
    table.add_column("payloads", justify="right")
    for copies, payloads in planted.copies[:12]:
        table.add_row(f"{copies:,}", f"{payloads:,}")
    rest = planted.copies[12:]
    if rest:
        table.add_row(f"up to {rest[-1][0]:,}", f"{sum(payloads for _, payloads in rest):,}")
    console.print(table)
    console.print(
        "0 copies: compressed, encrypted, encoded in another form, or not there. "
        f"Not followed: {planted.too_short:,} of less than 64 bytes, "
        f"{planted.not_told_apart:,} without bytes of their own. "
        f"In parts: {planted.uneven:,}",
        style="dim",
        highlight=False,
    )


def _left_out(console: Console, left_out: Sequence[LeftOut]) -> None:
    unread = [one for one in left_out if not by_design(one)]
    passed = [one for one in left_out if by_design(one)]
    for what, entries, style in (
        ("could not be read", unread, "red"),
        ("links and special files passed over", passed, "dim"),
    ):
        if not entries:
            continue
        console.print(f"{len(entries):,} {what}:", style=style, highlight=False)
        for one in entries[:_FIRST_LEFT_OUT]:
            said = _visible(f"{one.name}: {one.reason}")
            console.print(f"  {said}", markup=False, highlight=False, soft_wrap=True)
        if len(entries) > _FIRST_LEFT_OUT:
            console.print(f"  and {len(entries) - _FIRST_LEFT_OUT:,} more; --json has them all")


def _shared(grain: SharedGrain) -> tuple[str, ...]:
    def share(of_bytes: int) -> str:
        return f"{grain.shared_bytes / of_bytes:.1%}" if of_bytes else ABSENT

    relative = grain.relative_standard_error
    return (
        grain.grain,
        format_bytes(grain.first_unique_bytes),
        format_bytes(grain.second_unique_bytes),
        format_bytes(grain.shared_bytes),
        share(grain.first_unique_bytes),
        share(grain.second_unique_bytes),
        ABSENT if relative is None else "exact" if grain.p == 1 else f"±{relative:.2%}",
    )


def _visible(text: str) -> str:
    """Return a text in which nothing steers the terminal: names come from what is scanned."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _escaped(text: str) -> str:
    return escape(_visible(text))
