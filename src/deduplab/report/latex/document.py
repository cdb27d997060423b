"""The document: which files a run becomes for a paper, and what is in each of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import jinja2

from deduplab.analysis.calibration import HARNESS, REFERENCES, Calibration
from deduplab.analysis.coverage import Coverage, coverage
from deduplab.analysis.figures import Figures
from deduplab.analysis.replicas import ReplicasFinding, replicas_findings
from deduplab.analysis.series import Timings, timings
from deduplab.analysis.statistics import LEAST_REPETITIONS, RESAMPLES
from deduplab.analysis.tables import Finding, findings_of
from deduplab.report.identity import identity_of
from deduplab.report.latex import plots, tables
from deduplab.report.latex.escape import as_comment, escape
from deduplab.report.latex.macros import definitions, macros
from deduplab.report.latex.tabular import Tabular

_KNOWN: Final = frozenset((*REFERENCES, HARNESS))
_Entry = TypeVar("_Entry", Finding, Timings)
_Draw = Callable[[Any, datetime], bytes | None]


@dataclass(frozen=True, slots=True)
class Shown:
    """A table or a figure as the document shows it: its file, and the macro of its caption."""

    path: str
    caption: str


@dataclass(slots=True)
class Section:
    """A section of the document; ``words`` stand there instead where there is nothing to show."""

    title: str
    words: str
    tables: list[Shown] = field(default_factory=list)
    figures: list[Shown] = field(default_factory=list)


def files_of(figures: Figures) -> dict[str, bytes]:
    """Return the files for a paper, by their paths: the same run gives the same bytes.

    Parameters
    ----------
    figures
        Those of a run that is finished or not.
    """
    run, found = figures.run, figures.rows
    covered = coverage(run.header, figures.cells)
    answers = _references_last(findings_of(found, covered.rest_windows_s))
    calibrated = figures.calibration
    identity = identity_of(run.header)
    files = _Files(as_comment(identity.sentence), identity.begun)
    sections = [
        _costs(files, answers),
        _mechanisms(files, answers),
        _deletion(files, answers),
        _replicas(files, replicas_findings(found)),
        _times(files, _references_last(timings(found))),
        _calibration(files, calibrated),
        _excluded(files, covered),
    ]
    shared = {
        "identity": identity,
        "calibration": calibrated,
        "coverage": covered,
        "resamples": RESAMPLES,
        "least_repetitions": LEAST_REPETITIONS,
    }
    named = definitions(macros(found))
    files.text("macros.tex", "\n".join([_filled("macros.tex.j2", **shared), *named]))
    files.text("captions.tex", _filled("captions.tex.j2", **shared))
    files.text("main.tex", _filled("main.tex.j2", sections=sections, **shared))
    return files.found


def _costs(files: _Files, answers: Sequence[Finding]) -> Section:
    section = Section("What a copy costs", "No cell was committed.")
    for data, part in _by_data(answers):
        files.tables(section, f"costs-{_slug(data)}", tables.costs(part), "Costs", data)
        files.figure(section, f"eta-{_slug(data)}", plots.efficiency, part, "Eta", data)
    return section


def _mechanisms(files: _Files, answers: Sequence[Finding]) -> Section:
    section = Section("Mechanisms", "No cell was committed.")
    files.tables(section, "mechanisms", tables.mechanisms(answers), "Mechanisms")
    return section


def _deletion(files: _Files, answers: Sequence[Finding]) -> Section:
    section = Section("Deletion, reclaim and refill", "No deletion was measured.")
    files.tables(section, "deletion", tables.deletion(answers), "Deletion")
    return section


def _replicas(files: _Files, found: Sequence[ReplicasFinding]) -> Section:
    section = Section("Replicas", "No system was replicated.")
    files.tables(section, "replicas", tables.replicas(found), "Replicas")
    return section


def _times(files: _Files, timed: Sequence[Timings]) -> Section:
    section = Section("Throughput and latency", "Nothing was timed that counts.")
    for data, part in _by_data(timed):
        name = _slug(data)
        drawn = [entry for entry in part if entry.subject.system != HARNESS]
        files.tables(section, f"throughput-{name}", tables.throughput(part), "Throughput", data)
        files.figure(section, f"throughput-{name}", plots.throughput, drawn, "Throughput", data)
        files.tables(section, f"latency-{name}", tables.latency(part), "Latency", data)
        files.figure(section, f"latency-{name}", plots.latency, drawn, "Latency", data)
        files.tables(section, f"open-loops-{name}", tables.open_loops(part), "OpenLoops", data)
    return section


def _calibration(files: _Files, found: Calibration) -> Section:
    section = Section("Calibration", "The run holds no reference stores: nothing vouches for it.")
    files.tables(section, "calibration", tables.calibration(found), "Calibration")
    return section


def _excluded(files: _Files, covered: Coverage) -> Section:
    section = Section("What does not count", "Everything that was run counts.")
    files.tables(section, "excluded", tables.excluded(covered.troubles), "Excluded")
    return section


class _Files:
    """The files so far; each text begins with what it was made of."""

    def __init__(self, about: str, begun: datetime) -> None:
        self.about = about
        self.begun = begun
        self.found: dict[str, bytes] = {}

    def _free(self, path: str, ending: str) -> str:
        """Return a path that is not taken: names of data may differ in signs that it can't hold."""
        number = 2
        free = path
        while f"{free}{ending}" in self.found:
            free, number = f"{path}-{number}", number + 1
        return free

    def text(self, path: str, text: str) -> None:
        self.found[path] = f"% {self.about}\n{text.rstrip()}\n".encode("ascii")

    def tables(
        self, section: Section, name: str, table: Tabular, caption: str, data: str | None = None
    ) -> None:
        for number, part in enumerate(table.parts(), 1):
            path = self._free(f"tables/{name}" + (f"-part-{number}" if number > 1 else ""), ".tex")
            self.text(f"{path}.tex", part.to_tex())
            whole = _caption(f"{caption}Table", data)
            section.tables.append(Shown(path, whole if number == 1 else "\\dlCaptionContinued"))

    def figure(
        self,
        section: Section,
        name: str,
        draw: _Draw,
        entries: Sequence[Any],
        caption: str,
        data: str,
    ) -> None:
        drawn = draw(entries, self.begun)
        if drawn is not None:
            path = self._free(f"figures/{name}", ".pdf")
            self.found[f"{path}.pdf"] = drawn
            section.figures.append(Shown(path, _caption(f"{caption}Figure", data)))


def _caption(name: str, data: str | None) -> str:
    """Return the call of a caption's macro; most are told of which data they speak."""
    argument = "" if data is None else escape(data)
    return f"\\dlCaption{name}{{{argument}}}"


def _filled(template: str, **content: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("deduplab.report.latex"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - it is not HTML; the filter below escapes for LaTeX
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tex"] = lambda value: escape(str(value))
    return environment.get_template(template).render(content)


def _references_last(entries: Iterable[_Entry]) -> list[_Entry]:
    return sorted(entries, key=lambda entry: entry.subject.system in _KNOWN)


def _by_data(entries: Iterable[Any]) -> Iterator[tuple[str, list[Any]]]:
    parts: dict[str, list[Any]] = {}
    for entry in entries:
        parts.setdefault(entry.subject.data, []).append(entry)
    yield from parts.items()


def _slug(text: str) -> str:
    """Return a name for a file: letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")
