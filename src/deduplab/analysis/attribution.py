"""Attribution: which of the four mechanisms explains what was saved, in plain words.

Rules with stated thresholds, read off eta at the highest grade on FILES
allocated (ENGINE where the files are out of reach). The shuffled copies tell
what is deduplicated wherever a copy lies; what only adjacent copies gain at
the last moment is an encoding that spans neighbours. Storage-layer sharing is
claimed only where the VOLUME layer was read, and shows more saved than FILES does
(see :mod:`deduplab.analysis.storage_layer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.lookup import DISTANCES, FILES, MOMENTS, Lookup, Subject
from deduplab.analysis.row import Row
from deduplab.analysis.storage_layer import volume_finding, volume_words

NOTHING: Final = 0.1  # eta below this: nothing saved; a rise below this: no share of its own
FAR_SHARE: Final = 0.5  # shuffled copies save less than this share of adjacent ones: nearness alone
RECLAIMED: Final = 0.5  # the step that brings `reclaimed` here is where space comes back
THRESHOLDS: Final = (
    f"A mechanism is named where it explains at least {NOTHING} of eta at the highest grade; "
    f"savings count as compression where shuffled copies save less than {FAR_SHARE} of what "
    f"adjacent ones do, and as undecided below {FAR_SHARE} where there are no adjacent ones; "
    f"space counts as given back at the step where `reclaimed` first reaches {RECLAIMED}."
)


@dataclass(frozen=True, slots=True)
class Attribution:
    """``mechanisms`` in short, ``words`` with numbers, and what happens to deleted bytes."""

    mechanisms: tuple[str, ...]
    words: str
    deletion_words: str

    @property
    def verdict(self) -> str:
        """The mechanisms in one line."""
        return " + ".join(self.mechanisms)


def attribute(lookup: Lookup, subject: Subject, windows_s: Sequence[float] = ()) -> Attribution:
    """Return the mechanisms that explain a subject's figures.

    ``windows_s`` are the seconds for which a size had to stay unchanged to
    count as at rest: work that begins later was not seen, and the words say so.
    """
    grade = lookup.highest_grade(subject)
    deletion = _deletion_words(lookup, subject)
    if grade is None:
        return Attribution(("undecided",), "No cells with copies.", deletion)
    if _stores_nothing(lookup, subject):
        return Attribution(("stores nothing",), "It discards what it gets: no bytes at all.", "")
    etas = {distance: _etas(lookup, subject, grade, distance) for distance in DISTANCES}
    mechanisms, words = _explain(etas["adjacent"], etas["shuffled"], window_words(windows_s))
    if not words:
        words = f"No eta that counts: {_first_reason(lookup, subject, grade)}."
    below = volume_finding(lookup, subject)
    if below is not None and lookup.gauge(subject) == FILES:
        found, more = volume_words(below, NOTHING)
        if found:
            above = [name for name in mechanisms if name != "none"]
            mechanisms = tuple(dict.fromkeys((*above, *found)))
        words = f"In the files: {words[:1].lower()}{words[1:]} {more}".strip()
    return Attribution(mechanisms, words, deletion)


def window_words(windows_s: Sequence[float]) -> str:
    """Word the windows of rest of a run: ``0.1 s``, or the least and the greatest; may be empty."""
    if not windows_s:
        return ""
    least, greatest = min(windows_s), max(windows_s)
    return f"{least:g} s" if least == greatest else f"{least:g} to {greatest:g} s"


def _explain(
    adjacent: dict[str, float], shuffled: dict[str, float], window: str
) -> tuple[tuple[str, ...], str]:
    if not adjacent and not shuffled:
        return ("undecided",), ""
    everything = [*adjacent.values(), *shuffled.values()]
    if max(everything) < NOTHING:
        more = " A copy costs more than the first one." if min(everything) < -NOTHING else ""
        words = (
            f"Nothing saved: a copy costs what the first one cost ({_both(adjacent, shuffled)})."
        )
        return ("none",), words + more
    if not shuffled:
        words = (
            f"Adjacent copies are saved ({_series(adjacent)}), but without shuffled ones "
            "compression can't be told from deduplication."
        )
        return ("undecided",), words
    far = _last(shuffled)
    if not adjacent and far < FAR_SHARE:  # adjacent copies may save up to 1
        words = (
            f"A part of the shuffled copies is saved ({_series(shuffled)}), but without adjacent "
            "ones compression, whose window may span some of them, can't be told from "
            "deduplication."
        )
        return ("undecided",), words
    near = _last(adjacent) if adjacent else far
    parts: list[tuple[str, str]] = []
    if far >= near * FAR_SHARE:
        parts += _steps(adjacent, shuffled, window)
    if near - far >= NOTHING:
        parts.append(("compression-implicit", _distance_words(adjacent, shuffled)))
    if not parts:
        return ("undecided",), f"Saved for a while only ({_both(adjacent, shuffled)})."
    names = tuple(dict.fromkeys(name for name, _ in parts))
    return names, " ".join(text for _, text in parts)


def _steps(
    adjacent: dict[str, float], shuffled: dict[str, float], window: str
) -> list[tuple[str, str]]:
    """Name the moments at which copies that lie anywhere are removed."""
    parts: list[tuple[str, str]] = []
    reached = 0.0
    for moment in MOMENTS:
        eta = shuffled.get(moment)
        if eta is None or eta - reached < NOTHING:
            continue
        rises_later = _last(shuffled) - eta >= NOTHING
        at = _at(moment, adjacent.get(moment), eta)
        if moment == "flush":
            who = "Copies inside one inserted block go" if rises_later else "Copies are removed"
            parts.append(("ingestion-time", f"{who} at ingestion ({at})."))
        else:
            which = "The rest goes" if parts else "Copies are written first, and go"
            if moment == "rest":
                how = "in the background, without being asked"
            elif "rest" in shuffled:
                within = f"{window} of rest" if window else "the window of rest"
                how = f"by explicit maintenance; no more went on its own within {within}"
            else:
                how = "by explicit maintenance, or before it: there is no figure at rest"
            parts.append(("compaction-time", f"{which} {how} ({at})."))
        reached = eta
    return parts


def _distance_words(adjacent: dict[str, float], shuffled: dict[str, float]) -> str:
    near, far = _last(adjacent), _last(shuffled)
    vanishes = "disappears" if far < NOTHING else "shrinks"
    later = (
        f" It comes after flush (adjacent {_series(adjacent)})."
        if (near - next(iter(adjacent.values())) >= NOTHING)
        else ""
    )
    return (
        f"Compression, not deduplication: what adjacent copies save {vanishes} with distance "
        f"(eta {_number(near)} adjacent, {_number(far)} shuffled), so an encoding or block spans "
        f"neighbours.{later}"
    )


def _stores_nothing(lookup: Lookup, subject: Subject) -> bool:
    found = [lookup.row(subject, "U0", "none", "unique_cost", "bulk", moment) for moment in MOMENTS]
    values = [row.value for row in found if row is not None and row.value is not None]
    return bool(values) and not any(values)


def reclaim_steps(lookup: Lookup, subject: Subject) -> list[Row]:
    """Return ``reclaimed`` after delete and after each maintenance mode, in order.

    Taken from U0, where all that was deleted was unique; from the lowest
    grade that has a figure otherwise.
    """
    for grade in reversed(lookup.grades(subject)):
        for distance in ["none"] if grade == "U0" else lookup.distances(subject, grade):
            steps = [
                row
                for stage, moment in (("delete", "rest"), ("reclaim", "reclaim"))
                for row in lookup.rows((subject, grade, distance, "reclaimed", stage, moment))
                if (row.layer, row.ruler) == lookup.gauge(subject)
            ]
            if any(row.ok for row in steps):
                return steps
    return []


def _deletion_words(lookup: Lookup, subject: Subject) -> str:
    steps = [row for row in reclaim_steps(lookup, subject) if row.value is not None]
    if not steps:
        return ""
    shares = ", ".join(f"{_number(row.value or 0.0)} after {_step(row)}" for row in steps)
    enough = next((row for row in steps if (row.value or 0.0) >= RECLAIMED), None)
    if enough is None:
        return f"Deleted is not reclaimed (reclaimed {shares})."
    if enough.stage == "delete":
        return f"Deleted is reclaimed at once (reclaimed {shares})."
    return f"Deleted is not reclaimed until {_step(enough)} (reclaimed {shares})."


def _step(row: Row) -> str:
    return "delete" if row.stage == "delete" else row.mode or "maintenance"


def _etas(lookup: Lookup, subject: Subject, grade: str, distance: str) -> dict[str, float]:
    found = {}
    for moment in MOMENTS:
        row = lookup.row(subject, grade, distance, "dedup_efficiency", "bulk", moment)
        if row is not None and row.value is not None:
            found[moment] = row.value
    return found


def _first_reason(lookup: Lookup, subject: Subject, grade: str) -> str:
    for distance in lookup.distances(subject, grade):
        for moment in MOMENTS:
            row = lookup.row(subject, grade, distance, "dedup_efficiency", "bulk", moment)
            if row is not None and not row.ok:
                return row.reason
    return "no adjacent and no shuffled cells"


def _last(etas: dict[str, float]) -> float:
    return list(etas.values())[-1]


def _at(moment: str, adjacent: float | None, shuffled: float) -> str:
    if adjacent is None:
        return f"eta {_number(shuffled)} shuffled at {moment}"
    return f"eta {_number(adjacent)} adjacent, {_number(shuffled)} shuffled at {moment}"


def _both(adjacent: dict[str, float], shuffled: dict[str, float]) -> str:
    parts = [
        f"{_number(_last(etas))} {name}"
        for name, etas in (("adjacent", adjacent), ("shuffled", shuffled))
        if etas
    ]
    return "eta " + ", ".join(parts)


def _series(etas: dict[str, float]) -> str:
    return "eta " + ", ".join(f"{_number(value)} at {moment}" for moment, value in etas.items())


def _number(value: float) -> str:
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00")
