"""A paper's files through a real LaTeX: they compile cleanly, and the pages show every number."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deduplab.analysis import Figures, Row, rows
from deduplab.analysis.statistics import LEAST_REPETITIONS
from deduplab.model import OutcomeKind
from deduplab.report.latex.document import files_of
from deduplab.report.latex.escape import escape
from deduplab.report.latex.folder import write_folder
from deduplab.report.latex.macros import macros
from deduplab.report.latex.numerals import numeral
from deduplab.store import Run
from tests.end_to_end.products import Missing, program
from tests.report.factory import DUCKDB, PLAIN, POSTGRES, REPLACING, SQLITE, failed, matrix
from tests.report.test_loops_and_cold import at_rate, run_of, with_cold_read

DEADLINE_S = 120
NO_FONTS_MADE = {"MKTEXPK": "0", "MKTEXTFM": "0"}
"""A font that would have to be made first, as bitmaps and in the user's home, is missing."""
NASTY = 'a_b%c{d}[e]$f&g#h~i^j\\k <l> |m| "n" `o\' --p ,,q *r'
ALIKE = str.maketrans({"ˆ": "^", "˜": "~", "”": '"', "’": "'", "‘": "`", "−": "-", "\u00a0": " "})
"""Signs that fonts of LaTeX give back as others of the same look."""


class Latex:
    """LaTeX and what reads its pages back."""

    def __init__(self, missing: Missing) -> None:
        self.compiler = program("pdflatex", missing)
        self.reader = program("pdftotext", missing)
        self.fonts_reader = program("pdffonts", missing)

    def compile(self, folder: Path, name: str = "main") -> tuple[str, str]:
        """Compile twice, as references need; return what is read on the pages, and the log."""
        options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
        for _ in range(2):
            self._run([self.compiler, *options, f"{name}.tex"], folder)
        shown = self._run([self.reader, "-layout", f"{name}.pdf", "-"], folder)
        return shown, (folder / f"{name}.log").read_text(errors="replace")

    def fonts(self, folder: Path, name: str) -> list[str]:
        """Return the lines that tell of the fonts in a PDF."""
        return self._run([self.fonts_reader, name], folder).splitlines()[2:]

    def _run(self, command: list[str], folder: Path) -> str:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=DEADLINE_S, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, **NO_FONTS_MADE},
        )  # fmt: skip
        text = done.stdout.decode(errors="replace")
        assert done.returncode == 0, text[-3000:]
        return text


@pytest.fixture(scope="module")
def latex(not_brought_up: Missing) -> Latex:
    return Latex(not_brought_up)


def a_run(root: Path) -> Run:
    """Make a run with figures, gaps of all kinds, an open loop, cold reads and nasty names."""
    noisy = [replace(system, noise=0.02) for system in (REPLACING, PLAIN)]
    cells = matrix(noisy, ["random_binary", "text_document"], grades=(0, 90), repetitions=2)
    cells += matrix([replace(DUCKDB, variant=NASTY)], grades=(0, 90), repetitions=3)
    cells += matrix([replace(POSTGRES, variant="slow", censored="bulk")], grades=(0, 90))
    lost = matrix([replace(POSTGRES, variant="lost")], grades=(0, 90))
    cells += [failed(cell, OutcomeKind.FAILED, f"it said: {NASTY} ünï 数") for cell in lost]
    cells += [at_rate(cell, 500.0) for cell in matrix([SQLITE], grades=(0,))]
    cells += [
        with_cold_read(cell) for cell in matrix([replace(DUCKDB, variant="cold")], grades=(0, 90))
    ]
    return run_of(root, cells)


@dataclass(frozen=True)
class Paper:
    """A run, its rows, and its document: the folder, what is read on the pages, LaTeX's log."""

    run: Run
    rows: list[Row]
    folder: Path
    shown: str
    log: str


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory, latex: Latex) -> Paper:
    root = tmp_path_factory.mktemp("compiled")
    run = a_run(root)
    found = rows(run)
    folder = root / "paper"
    write_folder(folder, files_of(Figures.of(run)))
    shown, log = latex.compile(folder)
    return Paper(run, found, folder, shown, log)


def squeezed(text: str) -> str:
    """Return text without blanks, nor underscores, which old encodings draw as a rule."""
    return re.sub(r"[\s_]", "", text.translate(ALIKE)).replace("`", "'")


def test_the_document_compiles_without_a_warning_and_shows_all(paper: Paper) -> None:
    assert not re.findall(r"Overfull|LaTeX Warning|Undefined|Missing character", paper.log)
    found = squeezed(paper.shown)
    for words in (
        NASTY,
        paper.run.header.run_id,
        "Example CPU 3.0 GHz",
        "95 % bootstrap intervals over n repetitions",
        f"where n < {LEAST_REPETITIONS} the range of the draws",
        "it has no explicit maintenance",
        "not at rest by the deadline",
        "replacing-by-hash",
        "open, 500/s",
        "cold-read",
    ):
        assert squeezed(words) in found, words
    captions = re.findall(r"(Table|Figure) \d+: ", paper.shown)
    drawn = [*paper.folder.glob("tables/*.tex"), *paper.folder.glob("figures/*.pdf")]
    assert len(captions) == len(drawn)


def test_pages_show_the_numbers_that_analysis_gave(paper: Paper) -> None:
    lines = [squeezed(line) for line in paper.shown.splitlines()]
    wanted = [
        row
        for row in paper.rows
        if (row.system, row.variant, row.stage) == ("duckdb", NASTY, "bulk")
        and (row.grade_asked, row.layer, row.ruler) == ("U90", "FILES", "allocated")
        and row.metric == "dedup_efficiency"
        and row.value is not None
    ]
    assert len(wanted) == 6, "two distances at three moments"
    start = next(i for i, line in enumerate(lines) if line == squeezed(f"duckdb/{NASTY}, U90"))
    for row, line in zip(wanted, lines[start + 1 :], strict=False):
        ends = (row.ci_low or 0.0, row.ci_high or 0.0)
        low, high = (numeral(end, row.unit) for end in ends)
        assert line.endswith(f"{numeral(row.value or 0.0, row.unit)}[{low},{high}]"), line


def test_all_fonts_are_embedded_and_scale(paper: Paper, latex: Latex) -> None:
    for name in ("main.pdf", "figures/eta-random-binary.pdf"):
        fonts = latex.fonts(paper.folder, name)
        assert fonts
        for line in fonts:
            assert "Type 3" not in line
            assert re.search(r"\s(yes)\s+(yes|no)\s+(yes|no)\s+\d+\s+\d+$", line), line


def test_a_text_cites_numbers_by_name(paper: Paper, latex: Latex) -> None:
    every = macros(paper.rows)
    named = [(name, row) for name, row in every if row.value is not None][::40]
    gone = next(name for name, row in every if row.value is None)
    cited = "\n\n".join(f"cited {i} is $\\{name}$." for i, (name, _) in enumerate(named))
    (paper.folder / "text.tex").write_text(
        "\\documentclass{article}\\begin{document}\\input{macros}\n"
        f"{cited}\n\nGone: \\{gone}, since \\{gone}Why.\n\\end{{document}}\n"
    )
    shown, log = latex.compile(paper.folder, "text")
    assert "Undefined" not in log
    found = squeezed(shown)
    for i, (_, row) in enumerate(named):
        assert squeezed(f"cited {i} is {numeral(row.value or 0.0, row.unit)}.") in found
    assert re.search(r"Gone: –, since \S", shown)


def test_every_sign_of_a_name_is_printed(tmp_path: Path, latex: Latex) -> None:
    signs = "".join(map(chr, range(33, 127)))
    letters = "àéîõüçňőŝÅßæøłŁ"
    cells = "\\\\\n".join(escape(one) for one in signs if not one.isalnum())
    (tmp_path / "main.tex").write_text(
        "\\documentclass{article}\\begin{document}\n"
        f"begin{escape(signs[:50])}\n\n{escape(signs[50:])}end\n\n"
        f"{escape(letters)} {escape('–×±µ≤→数')}\n\n"
        f"\\begin{{tabular}}{{l}}{cells}\\end{{tabular}}\\end{{document}}\n"
    )
    shown, log = latex.compile(tmp_path)
    assert squeezed(f"begin{signs}end") in squeezed(shown)
    assert "[U+6570]" in shown
    assert not re.findall(r"LaTeX Warning|Missing character", log)
