"""A lookup: rows by what they are about, for tables, attribution and figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.groups import ON
from deduplab.analysis.row import Row
from deduplab.cell import by_clients, shown_system, with_replicas
from deduplab.model import Layer, Ruler
from deduplab.units import format_rate

MOMENTS: Final = ("flush", "rest", "reclaim")
DISTANCES: Final = ("adjacent", "shuffled")
_NAMED: Final = (*DISTANCES, "none")
FILES: Final = (Layer.FILES.value, Ruler.ALLOCATED.value)
VOLUME: Final = Layer.VOLUME.value
REPLICAS: Final = Layer.REPLICAS.value
ENGINE: Final = (Layer.ENGINE.value, Ruler.REPORTED.value)
# Subject, grade, distance, metric, stage, moment
Key = tuple["Subject", str, str | int, str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about: one variant of a system with one payload, at one rate.

    ``clients`` did at once what goes object by object; ``replicas`` were asked for.
    """

    system: str
    variant: str
    payload: str
    layout: str
    placement: str
    rate_per_s: float | None = None
    clients: int = 1
    replicas: int = 1

    @classmethod
    def of(cls, row: Row) -> Subject:
        """Return the subject of a row."""
        return cls(
            *(row.system, row.variant, row.payload, row.layout, row.placement),
            row.rate_per_s,
            row.clients,
            row.replicas,
        )

    @property
    def data(self) -> str:
        """The payload, with layout and placement where they are not blob and within."""
        unusual = [self.layout] if self.layout != "blob" else []
        unusual += [self.placement] if self.placement != "within" else []
        return ", ".join([self.payload, *unusual])

    @property
    def name(self) -> str:
        """The system, with its variant, volume, rate, clients and replicas where not as usual."""
        variant, on, volume = self.variant.partition(ON)
        rate = "" if self.rate_per_s is None else f" at {format_rate(self.rate_per_s)}"
        system = f"{shown_system(self.system, variant)}{on}{volume}{rate}"
        return f"{system}{by_clients(self.clients)}{with_replicas(self.replicas)}"


class Lookup:
    """Rows of one run, found by subject, grade, distance, metric, stage and moment.

    Byte figures are those of the subject's gauge unless another layer is asked for.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_key: dict[Key, list[Row]] = {}
        self._counting: dict[Subject, set[tuple[str | None, str | None]]] = {}
        self._grades: dict[Subject, dict[str, dict[str | int, None]]] = {}
        for row in rows:
            subject = Subject.of(row)
            key = (subject, row.grade_asked, row.distance, row.metric, row.stage, row.moment)
            self._by_key.setdefault(key, []).append(row)
            self._grades.setdefault(subject, {}).setdefault(row.grade_asked, {})[row.distance] = (
                None
            )
            if row.ok:
                self._counting.setdefault(subject, set()).add((row.layer, row.ruler))

    def subjects(self) -> list[Subject]:
        """Return all subjects, in the order of the rows."""
        return list(self._grades)

    def gauge(self, subject: Subject) -> tuple[str, str]:
        """Return the layer and ruler that a subject's byte figures are of.

        FILES allocated; or ENGINE as reported where no figure of FILES counts
        at all: the files of a server that runs already are out of reach.
        """
        counting = self._counting.get(subject, set())
        return ENGINE if ENGINE in counting and FILES not in counting else FILES

    def grades(self, subject: Subject) -> list[str]:
        """Return the grades of a subject, the highest first."""
        return sorted(self._grades[subject], key=lambda grade: -int(grade[1:]))

    def highest_grade(self, subject: Subject) -> str | None:
        """Return the highest grade that has copies, or None."""
        return next((grade for grade in self.grades(subject) if grade != "U0"), None)

    def distances(self, subject: Subject, grade: str) -> list[str | int]:
        """Return the distances of a grade: adjacent, shuffled, exact ones by size, then lists."""
        found = self._grades[subject].get(grade, {})
        named = [distance for distance in DISTANCES if distance in found]
        exact = sorted(distance for distance in found if isinstance(distance, int))
        lists = sorted(name for name in found if isinstance(name, str) and name not in _NAMED)
        return [*named, *exact, *lists]

    def rows(self, key: Key) -> list[Row]:
        """Return all rows there, by every layer, ruler and mode."""
        return self._by_key.get(key, [])

    def row(
        self,
        subject: Subject,
        grade: str,
        distance: str | int,
        metric: str,
        stage: str | None,
        moment: str | None = None,
        *,
        layer: str | None = None,
        mode: str | None = None,
    ) -> Row | None:
        """Return the row of the subject's gauge (or of the asked layer, or of none), else None."""
        gauges = (self.gauge(subject), (None, None))
        for row in self.rows((subject, grade, distance, metric, stage, moment)):
            if mode is not None and row.mode != mode:
                continue
            if row.layer == layer if layer else (row.layer, row.ruler) in gauges:
                return row
        return None
