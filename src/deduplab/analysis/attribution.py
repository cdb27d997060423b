"""Attribution: which of the four mechanisms explains what was saved, in plain words.

Rules with stated thresholds, read off eta at the highest grade on FILES
allocated (ENGINE where the files are out of reach). The far copies (shuffled, or of an
exact distance that saves less) tell what is deduplicated wherever a copy lies; what only
adjacent copies gain at the last moment that both have is an encoding that spans
neighbours, unless the variant says of itself that it has none: then they were refused while
their first was remembered. Storage-layer sharing is claimed only where the VOLUME layer was
read, and shows more saved than FILES does (see :mod:`deduplab.analysis.storage_layer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deduplab import registry
from deduplab.analysis.deletion_words import RECLAIMED, deletion_words
from deduplab.analysis.evidence import (
    FAR_SHARE,
    NOTHING,
    Evidence,
    Series,
    evidence,
    last,
)
from deduplab.analysis.groups import ON
from deduplab.analysis.lookup import FILES, MOMENTS, Lookup, Subject
from deduplab.analysis.storage_layer import volume_finding, volume_words
from deduplab.units import two_digits

ALL: Final = 0.9  # eta from here on: the copies are gone; below it a part of them is
THRESHOLDS: Final = (
    f"A mechanism is named where it explains at least {NOTHING} of eta at the highest grade. The "
    f"verdict is undecided where something is saved and the interval of eta reaches below 0, or "
    f"where one step of the footprint could change eta by more than {NOTHING}. Savings count as "
    f"compression where shuffled copies (or those an exact distance apart, where they save less "
    f"still) save less than {FAR_SHARE} of what adjacent ones do, and as undecided below "
    f"{FAR_SHARE} where there are no adjacent ones. Space counts as given back at the step where "
    f"reclaimed first reaches {RECLAIMED}."
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
    deletion = deletion_words(lookup, subject)
    if grade is None:
        return Attribution(("undecided",), "No cells with copies.", deletion)
    if _stores_nothing(lookup, subject):
        return Attribution(("stores nothing",), "It discards what it gets: no bytes at all.", "")
    seen = evidence(lookup, subject, grade)
    mechanisms, words = _explain(seen, window_words(windows_s), encodes=_encodes(subject))
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


def _encodes(subject: Subject) -> bool:
    """Whether the variant may encode several objects together; what is not known may."""
    entry = registry.systems().get(subject.system)
    variants = entry.capabilities().variants if entry is not None else ()
    name = subject.variant.partition(ON)[0].partition(" [")[0]
    return all(each.encodes for each in variants if each.name == name)


def _explain(seen: Evidence, window: str, *, encodes: bool) -> tuple[tuple[str, ...], str]:
    undecided = _undecided(seen)
    if undecided:
        return ("undecided",), undecided
    near, far = seen.near, seen.far
    everything = [*near.etas.values(), *far.etas.values()]
    if max(everything) < NOTHING:
        costs = "more than" if min(everything) <= -NOTHING else "what"
        words = f"Nothing saved: a copy costs {costs} the first one cost ({seen.both})."
        if not near.etas:
            lack = f"figure of adjacent copies ({near.reason})" if near.reason else "adjacent copy"
            words += f" There is no {lack}, so compression of neighbours is not excluded."
        return ("none",), words
    far_eta = last(far)
    near_eta = last(near) if near.etas else far_eta
    parts: list[tuple[str, str]] = []
    if not seen.by_nearness:
        parts += _steps(near, far, window)
    if near_eta - far_eta >= NOTHING:
        if not encodes and "flush" in near.etas and near.etas["flush"] >= NOTHING:
            parts.append(("ingestion-time", _memory_words(near, far)))
        else:
            parts.append(("compression-implicit", _distance_words(near, far)))
    if not parts:
        return ("undecided",), f"Saved for a while only ({near.name} {near.words})."
    names = tuple(dict.fromkeys(name for name, _ in parts))
    return names, " ".join(text for _, text in parts)


def _undecided(seen: Evidence) -> str:
    """Word why nothing can be concluded; empty where something can."""
    near, far = seen.near, seen.far
    if not near.etas and not far.etas:
        reason = far.reason or near.reason or "no adjacent and no shuffled cells"
        return f"No eta that counts: {reason}."
    greatest = max([*near.etas.values(), *far.etas.values()])
    if greatest > 1 + NOTHING:
        return (
            f"More is saved than there are copies ({seen.both}): what is stored took less than "
            "its unique bytes cost in the U0 control, so that the control does not explain it."
        )
    later = far.unseen or (near.unseen if greatest < NOTHING else None)
    if later is not None and (greatest < NOTHING or seen.by_nearness):
        return (
            f"What is there ({seen.both}) does not settle it, since copies may go at {later[0]}, "
            f"and there is no figure of it: {later[1]}."
        )
    if greatest < NOTHING:
        return ""
    vague = seen.vague
    if vague is not None:
        return (
            f"The repetitions do not agree on whether anything is saved: eta "
            f"{two_digits(vague.value or 0.0)} at {vague.moment}, with an interval of "
            f"{two_digits(vague.ci_low or 0.0)} to {two_digits(vague.ci_high or 0.0)}."
        )
    if not far.etas:
        why = f" ({far.reason})" if far.reason else ""
        return (
            f"Adjacent copies are saved ({near.words}), but without shuffled ones{why} "
            "compression can't be told from deduplication."
        )
    if not near.etas and last(far) < FAR_SHARE:  # adjacent copies may save up to 1
        why = f" ({near.reason})" if near.reason else ""
        return (
            f"A part of the copies is saved ({far.name} {far.words}), but without adjacent "
            f"ones{why} compression, whose window may span some of them, can't be told from "
            "deduplication."
        )
    if "flush" not in far.etas and not seen.by_nearness:
        return (
            f"Copies are removed ({far.words}), but whether at ingestion or later can't be told: "
            f"{far.lacking.get('flush', 'there is no figure at flush')}."
        )
    return ""


def _steps(near: Series, far: Series, window: str) -> list[tuple[str, str]]:
    """Name the moments at which copies that lie anywhere are removed."""
    parts: list[tuple[str, str]] = []
    reached = 0.0
    for moment in MOMENTS:
        eta = far.etas.get(moment)
        if eta is None or eta - reached < NOTHING:
            continue
        at = _at(moment, near, far)
        if moment == "flush":
            who = _who(eta, near.etas.get(moment, eta))
            parts.append(("ingestion-time", f"{who} at ingestion ({at})."))
        else:
            all_of_it = "The rest goes" if parts else "Copies are written first, and go"
            some_of_it = (
                "More goes" if parts else "Copies are written first, and a part of them goes"
            )
            which = all_of_it if eta >= ALL else some_of_it
            if moment == "rest":
                how = "in the background, without being asked"
            elif "rest" in far.etas:
                within = f"{window} of rest" if window else "the window of rest"
                how = f"by explicit maintenance; no more went on its own within {within}"
            else:
                how = "by explicit maintenance, or before it: there is no figure at rest"
            parts.append(("compaction-time", f"{which} {how} ({at})."))
        reached = eta
    if parts and reached - last(far) >= NOTHING:
        name, text = parts[-1]
        parts[-1] = (name, f"{text} It does not last ({far.name} {far.words}).")
    return parts


def _who(far_eta: float, near_eta: float) -> str:
    """Word which copies are gone at flush: those within one block, a part of them, or all."""
    if near_eta - far_eta >= NOTHING and far_eta < ALL:
        return "Copies inside one inserted block go"
    return "Copies are removed" if far_eta >= ALL else "A part of the copies is removed"


def _distance_words(near: Series, far: Series) -> str:
    vanishes = "disappears" if last(far) < NOTHING else "shrinks"
    comes_later = last(near) - next(iter(near.etas.values())) >= NOTHING
    later = f" It comes after flush ({near.name} {near.words})." if comes_later else ""
    return (
        f"Compression, not deduplication: what {near.name} copies save {vanishes} with distance "
        f"(eta {two_digits(last(near))} {near.name}, {two_digits(last(far))} {far.name}), so an "
        f"encoding or block spans neighbours.{later}"
    )


def _memory_words(near: Series, far: Series) -> str:
    return (
        f"Copies are refused at ingestion while their first is remembered, and stored when it is "
        f"forgotten: eta {two_digits(last(near))} {near.name}, {two_digits(last(far))} {far.name}. "
        "Nothing in this variant encodes several objects together, so it is no compression."
    )


def _stores_nothing(lookup: Lookup, subject: Subject) -> bool:
    found = [lookup.row(subject, "U0", "none", "unique_cost", "bulk", moment) for moment in MOMENTS]
    values = [row.value for row in found if row is not None and row.value is not None]
    return bool(values) and not any(values)


def _at(moment: str, near: Series, far: Series) -> str:
    found = [
        f"{two_digits(one.etas[moment])} {one.name}" for one in (near, far) if moment in one.etas
    ]
    return f"eta {', '.join(found)} at {moment}"
