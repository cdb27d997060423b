"""A scan for people: tables that fit a terminal of 80 columns (100 where it was sampled)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from deduplab.bound.account import Account, FilesOnDisk, by_design
from deduplab.bound.columns import column_bounds
from deduplab.bound.results import Comparison, SharedGrain
from deduplab.bound.stream import LeftOut
from deduplab.cli.scan_column_tables import show_columns, show_orders
from deduplab.cli.scan_grain_tables import show_grains
from deduplab.cli.scan_look import ABSENT, escaped, framed, visible
from deduplab.cli.whole_tables import print_whole
from deduplab.units import format_bytes, format_seconds

_FIRST_LEFT_OUT: Final = 5


def show(console: Console, account: Account) -> None:
    """Print an account of a scan."""
    result = account.result
    console.print(f"[bold]{escaped(', '.join(result.sources))}[/bold]", highlight=False)
    console.print(_head(account), highlight=False)
    columns = column_bounds(result)
    if result.grains:
        show_grains(console, result.grains, "rows" if columns else "")
    if columns:
        show_columns(console, columns, account)
    for_orders = {order: column_bounds(one) for order, one in account.orders.items()}
    if for_orders:
        show_orders(console, for_orders)
    if account.on_disk is not None:
        _on_disk(console, account.on_disk)
    _left_out(console, account.left_out)


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Print what two data sets share."""
    first, second = ", ".join(comparison.first), ", ".join(comparison.second)
    console.print(f"A: {escaped(first)}\nB: {escaped(second)}", highlight=False)
    for name, grains in comparison.streams.items():
        table = framed(f"unique bytes, column {escaped(name)}" if name else "unique bytes")
        for heading in ("grain", "of A", "of B", "shared", "of A", "of B", "error"):
            table.add_column(heading, justify="left" if heading == "grain" else "right")
        for grain in grains:
            table.add_row(*_shared(grain))
        print_whole(console, table)


def _head(account: Account) -> str:
    result = account.result
    parts = [f"{_counted(result.objects, 'object')}, {format_bytes(result.logical_bytes)}"]
    parts.append("sampled" if result.sampled else "exact")
    if account.duration_s:
        many = f" by {account.processes} processes" if account.processes > 1 else ""
        rate = result.logical_bytes / account.duration_s / 1e6
        parts.append(f"{format_seconds(account.duration_s)}{many}, {rate:,.0f} MB/s")
    if result.shards > 1:
        parts.append(f"merged from {result.shards} parts")
    return "; ".join(parts)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"


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
    table = framed()
    table.add_column("physical copies", justify="right")
    table.add_column("payloads", justify="right")
    for copies, payloads in planted.copies[:12]:
        table.add_row(f"{copies:,}", f"{payloads:,}")
    rest = planted.copies[12:]
    if rest:
        table.add_row(f"up to {rest[-1][0]:,}", f"{sum(payloads for _, payloads in rest):,}")
    print_whole(console, table)
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
            said = visible(f"{one.name}: {one.reason}")
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
