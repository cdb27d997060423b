"""A table of a paper: blocks of lines below headings, and a note for whatever is missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from deduplab.analysis.row import Row
from deduplab.report.latex.escape import escape
from deduplab.report.latex.numerals import MISSING, interval, numeral, typeset

_LINES: Final = 42
"""More do not fit on one page below a caption."""

_LETTERS_A_LINE: Final = 130
"""About so many of the size of footnotes."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title as LaTeX, and ``l`` or ``r``.

    A *figure* takes two: the value, and its interval in small print. A column of ``wide_ratio``
    is that share of a line wide, and breaks its text.
    """

    title: str
    align: str = "l"
    is_figure: bool = False
    wide_ratio: float = 0.0

    @property
    def specification(self) -> str:
        """What ``tabular`` is told of it."""
        if self.wide_ratio:
            return f">{{\\raggedright\\arraybackslash}}p{{{self.wide_ratio:g}\\linewidth}}"
        return "r@{ }>{\\scriptsize}l" if self.is_figure else self.align

    def height(self, entry: Entry) -> int:
        """How many lines an entry takes, by how many letters go on one."""
        if not self.wide_ratio or not isinstance(entry, str):
            return 1
        return -(-len(entry) // int(self.wide_ratio * _LETTERS_A_LINE))

    @property
    def head(self) -> str:
        """Its title over all that it takes."""
        return f"\\multicolumn{{2}}{{c}}{{{self.title}}}" if self.is_figure else self.title


def figure_column(title: str) -> Column:
    """Return a column of values with their intervals."""
    return Column(title, is_figure=True)


Entry = str | Row | None
"""Of a line: text, the row of a figure, or None for a figure that the plan does not have."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, below a heading that may be empty."""

    heading: str
    lines: tuple[tuple[Entry, ...], ...]

    def height(self, columns: Sequence[Column]) -> int:
        """How many lines it takes."""
        return bool(self.heading) + sum(
            max(column.height(entry) for column, entry in zip(columns, line, strict=True))
            for line in self.lines
        )


@dataclass(frozen=True, slots=True)
class Tabular:
    """Columns and blocks, ready to be written; it has no caption, which the document gives.

    ``absent`` says why a figure is None.
    """

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    absent: str = "not in the plan"

    def parts(self) -> list[Tabular]:
        """Return tables of a page each, with whole blocks as long as a block fits on a page."""
        parts: list[list[Block]] = []
        room = 0
        for block in itertools.chain.from_iterable(map(_pieces, self.blocks)):
            height = block.height(self.columns)
            if not parts or height > room:
                parts.append([])
                room = _LINES
            parts[-1].append(block)
            room -= height
        return [replace(self, blocks=tuple(blocks)) for blocks in parts]

    def to_tex(self) -> str:
        """Return ``tabular`` (which needs booktabs and array) with its notes below."""
        notes = _Notes(self.absent)
        body = []
        for number, block in enumerate(self.blocks):
            body += ["\\midrule" if number == 0 else "\\addlinespace"]
            if block.heading:
                span = sum(1 + column.is_figure for column in self.columns)
                heading = f"\\textbf{{{escape(block.heading)}}}"
                body.append(f"\\multicolumn{{{span}}}{{@{{}}l@{{}}}}{{{heading}}} \\\\")
            body += [self._line(line, notes) for line in block.lines]
        lines = [
            f"\\begin{{tabular}}{{@{{}}{''.join(one.specification for one in self.columns)}@{{}}}}",
            "\\toprule",
            " & ".join(column.head for column in self.columns) + " \\\\",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            *notes.to_tex(),
        ]
        return "\n".join(lines) + "\n"

    def _line(self, line: Sequence[Entry], notes: _Notes) -> str:
        cells: list[str] = []
        for column, entry in zip(self.columns, line, strict=True):
            if isinstance(entry, str):
                cells += [escape(entry), ""] if column.is_figure else [escape(entry)]
            elif column.is_figure:
                cells += [_value(entry), interval(entry) + notes.mark(entry)]
            else:
                cells.append(_value(entry) + notes.mark(entry))
        return " & ".join(cells) + " \\\\"


@dataclass(slots=True)
class _Notes:
    """Why figures are missing, and remarks beside those that are there; each told once."""

    absent: str
    told: dict[str, str] = field(default_factory=dict)

    def mark(self, row: Row | None) -> str:
        """Return the mark of what is to be said of a figure; empty where there is nothing."""
        reason = self.absent if row is None else row.reason
        if row is not None and row.value is None:
            reason = reason or row.outcome
        if not reason:
            return ""
        letter = self.told.setdefault(reason.rstrip("."), _letters(len(self.told)))
        return f"\\textsuperscript{{{letter}}}"

    def to_tex(self) -> Iterator[str]:
        """Yield the lines of a paragraph with all of them; none without any."""
        if not self.told:
            return
        yield "\\par\\smallskip"
        yield "\\begin{minipage}{\\linewidth}\\raggedright\\scriptsize"
        for reason, letter in self.told.items():
            yield f"\\textsuperscript{{{letter}}}\\,{escape(reason)}.\\quad"
        yield "\\end{minipage}"


def _value(row: Row | None) -> str:
    if row is None or row.value is None:
        return MISSING
    return typeset(numeral(row.value, row.unit))


def _letters(number: int) -> str:
    """Return a, b, ... z, aa, ab, ..."""
    rest, last = divmod(number, len(_LETTERS))
    return (_letters(rest - 1) if rest else "") + _LETTERS[last]


def _pieces(block: Block) -> Iterator[Block]:
    """Yield a block, or pieces of one that is longer than a page."""
    step = _LINES - 1
    yield from (
        replace(block, lines=block.lines[start : start + step])
        for start in range(0, len(block.lines), step)
    )


def counts(rows: Iterable[Row | None]) -> str:
    """Return on how many repetitions the figures of a line rest, as ``3`` or ``2–3``."""
    found = sorted({row.n for row in rows if row is not None and row.value is not None})
    if not found:
        return "–"
    return str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"
