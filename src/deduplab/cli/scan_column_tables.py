"""What was found in the columns of tables, as tables: by values or pages, and by orders of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from deduplab.bound.account import Account
from deduplab.bound.columns import ColumnBound, all_columns, finest
from deduplab.cli.scan_look import ABSENT, escaped, framed, ratio
from deduplab.cli.whole_tables import print_whole
from deduplab.units import format_bytes

_MOST_COLUMNS: Final = 40


def show_columns(console: Console, columns: Sequence[ColumnBound], account: Account) -> None:
    """Print what was found in each column, the largest first."""
    what = "pages" if account.page_bytes else "values"
    whole = f" of {format_bytes(account.page_bytes)}" if account.page_bytes else ""
    table = framed(f"columns, by {what}{whole}")
    table.add_column("column", overflow="fold")
    grain = finest(
        [one.grain for stream in account.result.streams.values() for one in stream.grains]
    )
    for heading in (what, "bytes", "distinct", "ratio", grain or "chunks", "zstd-3"):
        table.add_column(heading, justify="right", no_wrap=True)
    by_size = sorted(columns, key=lambda column: -column.logical_bytes)
    for column in [all_columns(columns), *by_size[:_MOST_COLUMNS]]:
        table.add_row(
            escaped(column.name),
            f"{column.objects:,}",
            format_bytes(column.logical_bytes),
            ABSENT if column.unique_bytes is None else format_bytes(column.unique_bytes),
            ratio(column.value_ratio),
            ratio(column.chunk_ratio),
            ratio(column.packed_ratio),
        )
    print_whole(console, table)
    console.print(
        f"ratio: all by distinct {what}; {grain or 'chunks'}: by chunks within them; "
        f"zstd-3: all {what}, each alone, without deduplication",
        style="dim",
    )
    if len(columns) > _MOST_COLUMNS:
        console.print(f"and {len(columns) - _MOST_COLUMNS} smaller columns; --json has them all")


def show_orders(console: Console, orders: dict[str, list[ColumnBound]]) -> None:
    """Print chunk ratio and compression of pages of values, order by order."""
    table = framed("pages of columns by the order of rows")
    table.add_column("column", overflow="fold")
    for order in orders:
        table.add_column(escaped(order), justify="right")
    found = {
        order: {column.name: column for column in [all_columns(columns), *columns]}
        for order, columns in orders.items()
    }
    names = next(iter(found.values()))
    by_size = sorted(names, key=lambda name: -names[name].logical_bytes)
    for name in by_size[: _MOST_COLUMNS + 1]:
        cells = [found[order].get(name) for order in orders]
        table.add_row(
            escaped(name),
            *(
                f"{ratio(cell.chunk_ratio)} {ratio(cell.packed_ratio)}" if cell else ABSENT
                for cell in cells
            ),
        )
    print_whole(console, table)
    console.print("ratio by chunks, and of zstd-3 on each page without deduplication", style="dim")
