"""Tables as plain data: the findings, one line for each system and payload."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.attribution import Attribution, attribute
from deduplab.analysis.deletion_words import reclaim_steps
from deduplab.analysis.evidence import NOTHING, evidence
from deduplab.analysis.groups import ON
from deduplab.analysis.lookup import DISTANCES, FILES, MOMENTS, Lookup, Subject
from deduplab.analysis.row import Row
from deduplab.analysis.storage_layer import Pair, VolumeFinding
from deduplab.units import two_digits

ABSENT: Final = "–"  # shown where there is no value; the row tells why
_LEGEND: Final = (
    "u: bytes for a byte seen first. c: bytes for a byte seen again. eta: 1 = copies are free, "
    "0 = a copy costs what the first one cost. Three values: at flush, at rest, after reclaim. "
    "Reclaimed: the share of bytes that came back after delete, then after each maintenance."
)

_VOLUMES_LEGEND: Final = (
    "FILES: allocated bytes of the files. VOLUME: what the file system counts as used. "
    "dedupe: after equal blocks of the volume were shared."
)


@dataclass(frozen=True, slots=True)
class Header:
    """A column: its title, and ``left`` or ``right``."""

    title: str
    align: str = "left"


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and text cells, ready to be drawn; ``note`` explains the columns."""

    title: str
    headers: tuple[Header, ...]
    lines: tuple[tuple[str, ...], ...]
    note: str = ""

    def to_text(self) -> str:
        """Return the table as plain text with aligned columns."""
        titles = tuple(header.title for header in self.headers)
        widths = [max(len(line[i]) for line in (titles, *self.lines)) for i in range(len(titles))]

        def drawn(line: Sequence[str]) -> str:
            parts = [
                text.rjust(width) if header.align == "right" else text.ljust(width)
                for text, width, header in zip(line, widths, self.headers, strict=True)
            ]
            return "  ".join(parts).rstrip()

        rule = "  ".join("-" * width for width in widths)
        body = [drawn(titles), rule, *(drawn(line) for line in self.lines)]
        return "\n".join([self.title, "", *body, *(["", self.note] if self.note else [])])


@dataclass(frozen=True, slots=True)
class Costs:
    """u, c and eta of one distance at one moment; a row is None where the plan has no such cell."""

    distance: str | int
    moment: str
    unique_cost: Row | None
    duplicate_cost: Row | None
    dedup_efficiency: Row | None


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer for one subject at its highest grade (None without copies).

    ``layer`` is that of all byte figures: FILES, or ENGINE where no figure of
    FILES counts. ``costs`` holds every distance at all three moments; ``unique_costs`` what
    the control cost at these moments; ``reclaim_steps`` the rows ``reclaimed``
    after delete and each maintenance mode, ``reclaim_times`` the seconds of
    each of them; ``refill_growth`` that at rest; ``distance_effect`` what the evidence
    for the attribution says of it.
    """

    subject: Subject
    grade: str | None
    layer: str
    unique_costs: tuple[Row | None, ...]
    costs: tuple[Costs, ...]
    distance_effect: float | None
    reclaim_steps: tuple[Row, ...]
    reclaim_times: tuple[Row | None, ...]
    refill_growth: Row | None
    attribution: Attribution

    @property
    def name(self) -> str:
        """The subject's name, with the layer where that is not FILES."""
        layer = "" if self.layer == FILES[0] else f" (layer {self.layer})"
        return f"{self.subject.name}{layer}"

    @property
    def distance_words(self) -> str:
        """How much more adjacent copies save than far ones; empty where that is not known."""
        if self.distance_effect is None:
            return ""
        where = " in the files" if ON in self.subject.variant else ""
        if abs(self.distance_effect) < NOTHING:
            return f"no distance effect{where}"
        return f"distance effect{where}: {two_digits(self.distance_effect)} of eta"

    @property
    def at_rest(self) -> Costs | None:
        """The costs of far copies at rest: shuffled ones, or else the last distance there is."""
        named = {cost.distance for cost in self.costs}
        last = self.costs[-1].distance if self.costs else ""
        return self.at(DISTANCES[1] if DISTANCES[1] in named else last, "rest")

    def time_of(self, step: Row) -> Row | None:
        """Return the row of the seconds that a step of ``reclaim_steps`` took."""
        return self.reclaim_times[self.reclaim_steps.index(step)]

    def at(self, distance: str | int, moment: str) -> Costs | None:
        """Return the costs of a distance at a moment."""
        return next(
            (cost for cost in self.costs if (cost.distance, cost.moment) == (distance, moment)),
            None,
        )


def findings_of(rows: Iterable[Row], windows_s: Sequence[float] = ()) -> list[Finding]:
    """Return the answer for every system, variant and payload in the rows.

    ``windows_s`` are the windows of rest of the run's cells, for the wording.
    """
    lookup = Lookup(rows)
    return [_finding(lookup, subject, windows_s) for subject in lookup.subjects()]


def findings(rows: Iterable[Row]) -> Table:
    """Return the findings as a table of text."""
    return findings_table(findings_of(rows))


def findings_table(answers: Iterable[Finding]) -> Table:
    """Return findings that were derived already as a table of text."""
    headers = (
        Header("system"),
        Header("payload"),
        Header("grade"),
        Header("u", "right"),
        Header("c adjacent", "right"),
        Header("c shuffled", "right"),
        Header("eta adjacent", "right"),
        Header("eta shuffled", "right"),
        Header("reclaimed", "right"),
        Header("mechanism"),
    )
    lines = tuple(_line(finding) for finding in answers)
    return Table("Findings", headers, lines, _LEGEND)


def volumes_table(answers: Iterable[VolumeFinding]) -> Table:
    """Return what volumes show beside the files, one line for each subject and moment."""
    titles = ["u FILES", "u VOLUME"]
    titles += [f"eta {name} {layer}" for name in DISTANCES for layer in ("FILES", "VOLUME")]
    headers = (
        *(Header(title) for title in ("system", "payload", "grade", "moment")),
        *(Header(title, "right") for title in titles),
    )
    lines = []
    for finding in answers:
        for entry in finding.moments:
            found = [entry.unique_cost, *(entry.efficiencies.get(name) for name in DISTANCES)]
            lines.append(
                (
                    finding.subject.name,
                    finding.subject.data,
                    finding.grade,
                    entry.label,
                    *(number(row) for pair in found for row in _both_rows(pair)),
                )
            )
    return Table("Below the files: the volume", headers, tuple(lines), _VOLUMES_LEGEND)


def _both_rows(pair: Pair | None) -> tuple[Row | None, Row | None]:
    return (pair.files, pair.volume) if pair else (None, None)


def number(row: Row | None) -> str:
    """Write a value with two digits; the sign for absent without one."""
    return ABSENT if row is None or row.value is None else two_digits(row.value)


def _finding(lookup: Lookup, subject: Subject, windows_s: Sequence[float]) -> Finding:
    grade = lookup.highest_grade(subject)
    costs = []
    for distance in lookup.distances(subject, grade) if grade else []:
        for moment in MOMENTS:
            found = [
                lookup.row(subject, grade or "", distance, metric, "bulk", moment)
                for metric in ("unique_cost", "duplicate_cost", "dedup_efficiency")
            ]
            costs.append(Costs(distance, moment, *found))
    firsts = [lookup.row(subject, "U0", "none", "unique_cost", "bulk", name) for name in MOMENTS]
    steps = reclaim_steps(lookup, subject)
    return Finding(
        subject=subject,
        grade=grade,
        layer=lookup.gauge(subject)[0],
        unique_costs=tuple(firsts),
        costs=tuple(costs),
        distance_effect=evidence(lookup, subject, grade).distance_effect if grade else None,
        reclaim_steps=tuple(steps),
        reclaim_times=tuple(_time_of(lookup, subject, step) for step in steps),
        refill_growth=_refill(lookup, subject),
        attribution=attribute(lookup, subject, windows_s),
    )


def _time_of(lookup: Lookup, subject: Subject, step: Row) -> Row | None:
    return lookup.row(
        subject, step.grade_asked, step.distance, "time_to_reclaim", step.stage, step.moment,
        mode=step.mode,
    )  # fmt: skip


def _refill(lookup: Lookup, subject: Subject) -> Row | None:
    """Return the growth at rest, of U0 where there is one: the same data as for ``reclaimed``."""
    for grade in reversed(lookup.grades(subject)):
        for distance in ["none"] if grade == "U0" else lookup.distances(subject, grade):
            row = lookup.row(subject, grade, distance, "refill_growth", "refill", "rest")
            if row is not None:
                return row
    return None


def _line(finding: Finding) -> tuple[str, ...]:
    def three(distance: str, name: str) -> str:
        found = [finding.at(distance, moment) for moment in MOMENTS]
        return " ".join(number(getattr(cost, name) if cost else None) for cost in found)

    costs = [three(distance, "duplicate_cost") for distance in DISTANCES]
    etas = [three(distance, "dedup_efficiency") for distance in DISTANCES]
    reclaimed = " ".join(number(row) for row in finding.reclaim_steps) or ABSENT
    return (
        finding.name,
        finding.subject.data,
        finding.grade or ABSENT,
        " ".join(number(row) for row in finding.unique_costs),
        *costs,
        *etas,
        reclaimed,
        finding.attribution.verdict,
    )
