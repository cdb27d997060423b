"""A comparison on the console: what else differs, which figures do, and what can't be told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import click

from deduplab.analysis.change import TOO_FEW, Change, Verdict
from deduplab.analysis.comparison import Comparison
from deduplab.analysis.pairing import Declared
from deduplab.report import comparison_wording as words

_MOST: Final = 12  # of what has no partner, and of reasons
_MANY: Final = 20
_COLOURS: Final = {Verdict.DIFFERS: "yellow", Verdict.SAME: "green", Verdict.UNTOLD: None}


def show(found: Comparison, labels: tuple[str, str], *, everything: bool) -> None:
    """Print one comparison; ``everything`` also those figures that do not differ."""
    for side, label in zip("AB", labels, strict=True):
        click.echo(f"{side}: {label}")
    _show_differences(found)
    for entry in found.compared:
        shown = [one for one in entry.changes if everything or one.verdict is Verdict.DIFFERS]
        if shown:
            click.echo(f"\n{entry.declared.name}")
            _show_changes(shown)
    _show_counts(found, everything=everything)
    for side, names in (("A", found.only_first), ("B", found.only_second)):
        _show_left(side, names)


def _show_differences(found: Comparison) -> None:
    if not found.differences:
        click.echo("\nNothing else differs: environment, versions, configurations and settings.")
        return
    click.echo("\nWhat else differs, so that it may be the cause:")
    for one in found.differences:
        click.echo(f"  {one.kind:<13}  {one.words}")


def _show_changes(changes: Sequence[Change]) -> None:
    """Print changes as lines that are aligned within a cell."""
    lines = []
    for one in changes:
        first, second = words.values(one)
        lines.append(
            (one.row.metric, words.place(one), first, second, words.change(one),
             words.interval(one), f"n {words.counts(one)}", _verdict(one))
        )  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    for line, one in zip(lines, changes, strict=True):
        parts = [
            text.rjust(width) if 2 <= column <= 4 else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=False))
        ]
        verdict = click.style(line[7], fg=_COLOURS[one.verdict])
        click.echo(f"  {'  '.join(parts)}  {verdict}")


def _verdict(one: Change) -> str:
    return f"{one.verdict.value}: {one.reason}" if one.reason else one.verdict.value


def _show_counts(found: Comparison, *, everything: bool) -> None:
    total = len(found.changes)
    differing, untold = found.count(Verdict.DIFFERS), found.count(Verdict.UNTOLD)
    told = total - untold
    click.echo(
        f"\n{total} figures of {len(found.compared)} cells that both have: {differing} differ, "
        f"{found.count(Verdict.SAME)} show no difference, of {untold} nothing can be told."
        + ("" if everything or total == differing else " All of them: --all")
    )
    if told >= _MANY:
        click.echo(
            f"Had nothing changed, about {told / 20:.0f} of {told} would seem to differ by chance."
        )
    if any(reason.startswith(TOO_FEW) for reason in found.untold):
        click.echo("Repetitions tell something from 4 on either side on, or 3 and 5.")
    for reason, count in list(found.untold.items())[:_MOST]:
        click.echo(f"  {count:>5}  {reason}")
    if len(found.untold) > _MOST:
        click.echo(f"         and {len(found.untold) - _MOST} more reasons (--all, --json)")


def _show_left(side: str, names: Iterable[Declared]) -> None:
    left = list(names)
    if not left:
        return
    click.echo(f"\nOnly in {side}, so compared with nothing:")
    for one in left[:_MOST]:
        click.echo(f"  {one.name}")
    if len(left) > _MOST:
        click.echo(f"  and {len(left) - _MOST} more")
