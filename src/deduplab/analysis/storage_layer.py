"""The storage layer: what a volume saves beyond the files on it, and how that is told apart.

Read off the difference between eta (and u) on VOLUME and on FILES, where an
instance lay on a file system of its own. What it saves before the step
``dedupe`` is compression or sharing of its own accord, what it saves only
after that step is sharing that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.lookup import DISTANCES, FILES, MOMENTS, VOLUME, Lookup, Subject
from deduplab.analysis.row import Row
from deduplab.model import DEDUPE

VOLUME_MOMENTS: Final = (*MOMENTS, DEDUPE)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same figure by the files and by the volume under them; None where there is none."""

    files: Row | None
    volume: Row | None

    @property
    def gain(self) -> float | None:
        """What the volume has more than the files, or None without both."""
        if self.files is None or self.volume is None:
            return None
        if self.files.value is None or self.volume.value is None:
            return None
        return self.volume.value - self.files.value


@dataclass(frozen=True, slots=True)
class VolumeMoment:
    """One moment after bulk: u of the control, eta of each distance, and what is shared.

    ``shared`` is the share of the files' allocated bytes that lies in shared extents, of
    the distance that is farthest; None where the file system does not tell.
    """

    moment: str
    unique_cost: Pair
    efficiencies: dict[str, Pair]
    shared: Row | None

    @property
    def label(self) -> str:
        """The moment's name; after blocks were shared, the mode that did it."""
        pairs = [self.unique_cost, *self.efficiencies.values()]
        modes = [pair.volume.mode for pair in pairs if pair.volume and pair.volume.mode]
        return modes[0] if modes and self.moment == DEDUPE else self.moment


@dataclass(frozen=True, slots=True)
class VolumeFinding:
    """What the volume shows of one subject, at every moment that was measured."""

    subject: Subject
    grade: str
    moments: tuple[VolumeMoment, ...]


def volume_findings(rows: Iterable[Row]) -> list[VolumeFinding]:
    """Return what volumes show of every subject that lay on one."""
    lookup = Lookup(rows)
    found = (volume_finding(lookup, subject) for subject in lookup.subjects())
    return [finding for finding in found if finding is not None]


def volume_finding(lookup: Lookup, subject: Subject) -> VolumeFinding | None:
    """Return what the volume shows of a subject at its highest grade; None without a volume."""
    grade = lookup.highest_grade(subject)
    if grade is None:
        return None
    moments = tuple(
        entry
        for moment in VOLUME_MOMENTS
        if _has_figures(entry := _moment(lookup, subject, grade, moment))
    )
    return VolumeFinding(subject, grade, moments) if moments else None


def volume_words(finding: VolumeFinding, nothing: float) -> tuple[tuple[str, ...], str]:
    """Return the mechanisms that work beneath the files, and their words.

    Parameters
    ----------
    nothing
        The least difference of eta that counts.

    Returns
    -------
    tuple
        ``storage-layer`` where blocks are shared, ``compression-implicit`` where the
        volume's own compression spans copies that are neighbours, ``undecided`` where only
        adjacent copies tell that it saves; the words tell u too
        where the volume compresses, and that dedupe saved nothing where it did not.
    """
    before = [entry for entry in finding.moments if entry.moment != DEDUPE]
    parts = [_compressing_words(before[-1], nothing)] if before else []
    mechanisms: list[str] = []
    near, far = _last_gain(before, DISTANCES[0]), _last_gain(before, DISTANCES[1])
    if far is None and near is not None and near >= nothing:
        mechanisms.append("undecided")
        parts.append(
            f"The volume saves adjacent copies beneath the files ({_at(before)}), but without "
            "shuffled ones sharing can't be told from compression."
        )
    elif far is not None and far >= nothing and (near is None or far >= near / 2):
        mechanisms.append("storage-layer")
        parts.append(f"The volume shares blocks beneath the files ({_at(before)}).")
    elif near is not None and near - (far or 0.0) >= nothing:
        mechanisms.append("compression-implicit")
        parts.append(f"The volume's compression spans neighbours in a file ({_at(before)}).")
    after = [entry for entry in finding.moments if entry.moment == DEDUPE]
    if after:
        name, words = _dedupe_words(after, far if far is not None else near or 0.0, nothing)
        mechanisms += name
        parts.append(words)
    return tuple(dict.fromkeys(mechanisms)), " ".join(filter(None, parts))


def _dedupe_words(
    after: list[VolumeMoment], before_gain: float, nothing: float
) -> tuple[list[str], str]:
    gains = [gain for name in DISTANCES if (gain := _last_gain(after, name)) is not None]
    if not gains:
        return [], ""
    if gains[-1] - before_gain >= nothing:
        return ["storage-layer"], f"Dedupe shares equal blocks beneath the files ({_at(after)})."
    return [], f"Dedupe saves nothing beneath these files ({_at(after)})."


def _compressing_words(entry: VolumeMoment, nothing: float) -> str:
    gain = entry.unique_cost.gain
    if gain is None or -gain < nothing:
        return ""
    return (
        f"The volume compresses: u is {_number(entry.unique_cost.volume)} on VOLUME, "
        f"{_number(entry.unique_cost.files)} on FILES."
    )


def _moment(lookup: Lookup, subject: Subject, grade: str, moment: str) -> VolumeMoment:
    distances = [name for name in DISTANCES if name in lookup.distances(subject, grade)]

    def pair(grade: str, distance: str, metric: str) -> Pair:
        found = lookup.rows((subject, grade, distance, metric, "bulk", moment))
        files = next((row for row in found if (row.layer, row.ruler) == FILES), None)
        volume = next((row for row in found if row.layer == VOLUME), None)
        return Pair(files, volume)

    shared = [
        row
        for distance in distances
        for row in lookup.rows((subject, grade, distance, "shared_per_allocated", "bulk", moment))
    ]
    return VolumeMoment(
        moment=moment,
        unique_cost=pair("U0", "none", "unique_cost"),
        efficiencies={name: pair(grade, name, "dedup_efficiency") for name in distances},
        shared=shared[-1] if shared else None,
    )


def _has_figures(entry: VolumeMoment) -> bool:
    pairs = [entry.unique_cost, *entry.efficiencies.values()]
    return any(pair.volume is not None and pair.volume.value is not None for pair in pairs)


def _last_gain(moments: list[VolumeMoment], distance: str) -> float | None:
    """Return what the volume adds to eta at the last moment that has both figures."""
    for entry in reversed(moments):
        pair = entry.efficiencies.get(distance)
        if pair is not None and pair.gain is not None:
            return pair.gain
    return None


def _at(moments: list[VolumeMoment]) -> str:
    """Word eta on both layers at the last moment, for each distance."""
    for entry in reversed(moments):
        parts = [
            f"{_number(pair.volume)} on VOLUME and {_number(pair.files)} on FILES {distance}"
            for distance, pair in entry.efficiencies.items()
            if pair.gain is not None
        ]
        if parts:
            return f"eta {', '.join(parts)}, at {entry.moment}"
    return ""


def _number(row: Row | None) -> str:
    value = row.value if row is not None and row.value is not None else 0.0
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00")
