"""What of a plan ran, drawn on the console: systems by payloads, and why something did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deduplab.analysis.census import NOT_RUN, Census, Count
from deduplab.cli.whole_tables import fits, print_whole

_STYLES: Final = {
    "OK": "green",
    "UNSUPPORTED": "cyan",
    "INVALID": "yellow",
    "FAILED": "red",
    NOT_RUN: "dim",
}


def print_ran(found: Census, console: Console) -> None:
    """Print how many stages ended how, the matrix, and the reasons, each once."""
    words = f"{found.stages.planned} stages in {found.cells.planned} cells"
    console.print(f"\n{words}: {found.stages.words}", markup=False, highlight=False)
    console.print("stages that went well, of those planned", style="italic")
    matrix = _matrix(found, found.payloads)
    has_room = fits(console, matrix)
    print_whole(console, matrix if has_room else _matrix(found, ()))
    if not has_room:
        console.print("by payload: on the page, or report --coverage --json", style="dim")
    for one, *others in found.reasons_by_kind:
        mark = Text(f"{one.kind:11} ", style=_STYLES[one.kind])
        words = f"{', '.join(one.systems)}, {one.stages} stages in {one.cells} cells: {one.reason}"
        if others:
            more = f"{len(others)} other reason{'s' if len(others) > 1 else ''}"
            words += f" (and {more}: report --coverage --json)"
        console.print(mark + Text(words), soft_wrap=True)
    for remark in found.remarks:
        console.print(remark, markup=False, highlight=False, soft_wrap=True)


def _matrix(found: Census, payloads: Sequence[str]) -> Table:
    # Without lines, so that many payloads fit.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("system", no_wrap=True)
    for payload in payloads:
        table.add_column(payload.replace("_", "\n"), justify="right", no_wrap=True)
    table.add_column("all", justify="right", no_wrap=True)
    for system in found.systems:
        boxes = (found.boxes.get((payload, system)) for payload in payloads)
        table.add_row(system, *map(_box, boxes), _box(found.stages_by_system[system]))
    return table


def _box(count: Count | None) -> Text:
    if count is None:
        return Text("")
    return Text(f"{count.ok}/{count.planned}", style=_STYLES[count.worst])
