"""What of a plan ran, drawn on the console: payloads by systems, and why something did not."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deduplab.analysis.census import NOT_RUN, Census, Count

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
    console.print(_matrix(found))
    for one in found.reasons:
        mark = Text(f"{one.kind:11} ", style=_STYLES[one.kind])
        words = f"{', '.join(one.systems)}, {one.stages} stages in {one.cells} cells: {one.reason}"
        console.print(mark + Text(words), soft_wrap=True)


def _matrix(found: Census) -> Table:
    # Without lines, so that eight systems fit into 80 columns.
    table = Table(
        title="stages that went well, of those planned",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("payload", no_wrap=True)
    for system in found.systems:
        table.add_column(system.replace("/", "\n"), justify="right", overflow="fold")
    for payload in found.payloads:
        boxes = (found.boxes.get((payload, system)) for system in found.systems)
        table.add_row(payload, *map(_box, boxes))
    table.add_row("all", *(_box(found.stages_by_system[system]) for system in found.systems))
    return table


def _box(count: Count | None) -> Text:
    if count is None:
        return Text("")
    return Text(f"{count.ok}/{count.planned}", style=_STYLES[count.worst])
