"""A threshold: how far a figure may move from one run to another before a pipeline fails.

It fails only where the whole interval lies beyond the threshold, so that noise alone hardly does.
Where nothing can be told of any figure, that is told apart from a pass: a check that can't
fail checks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.change import Change, Verdict, kind_of
from deduplab.analysis.comparison import metric_named
from deduplab.errors import PlanError

_FORM: Final = re.compile(r"([a-z][a-z0-9_.]*)\s*([+-])\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)")
_EXAMPLES: Final = "such as 'p99+10%', 'objects_per_s-5%' or 'eta-0.05'"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The most by which a metric may rise (``+``) or fall (``-``).

    ``limit`` is a ratio (1.1 for ``+10%``) or a difference (-0.05), as figures of the metric are
    set beside each other.
    """

    text: str
    metric: str
    rises: bool
    limit: float

    def broken_by(self, one: Change) -> bool:
        """Whether a change lies beyond the limit with all of its interval."""
        if one.row.metric != self.metric or one.low is None or one.high is None:
            return False
        return one.low > self.limit if self.rises else one.high < self.limit


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a threshold: which changes break it, and how many could be judged."""

    threshold: Threshold
    broken: tuple[Change, ...]
    judged: int
    untold: int

    @property
    def words(self) -> str:
        """The outcome in a sentence."""
        text = self.threshold.text
        if not self.judged and not self.untold:
            return f"{text}: could not be judged, no cell that both have has this figure"
        if not self.judged:
            return f"{text}: could not be judged, nothing can be told of {self.untold} figures"
        rest = f", {self.untold} more can't be told" if self.untold else ""
        return f"{text}: broken by {len(self.broken)} of {self.judged} figures{rest}"


def parse_threshold(text: str) -> Threshold:
    """Read a threshold such as ``p99+10%``.

    Raises
    ------
    PlanError
        If it is none, names no metric, or is in the wrong unit for it.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise PlanError(
            f"not a threshold: {text!r}; write a metric, + or -, and how much it may rise or fall, "
            f"{_EXAMPLES}"
        )
    name, sign, number, percent = match.groups()
    metric = metric_named(name)
    amount = float(number)
    if kind_of(metric) == "difference":
        if percent:
            raise PlanError(
                f"{text!r}: {name} may be 0, so its change is a difference, not a share of it; "
                f"write {name}{sign}0.05"
            )
        return Threshold(text.strip(), metric, sign == "+", amount if sign == "+" else -amount)
    if not percent:
        raise PlanError(f"{text!r}: the change of {name} is a ratio; write {name}{sign}10%")
    if sign == "-" and amount >= 100:
        raise PlanError(f"{text!r}: nothing falls by {number} % or more; name less than 100")
    share = amount / 100
    return Threshold(text.strip(), metric, sign == "+", 1 + share if sign == "+" else 1 - share)


def judged(threshold: Threshold, changes: Iterable[Change]) -> Judgement:
    """Hold all changes against a threshold."""
    found = [one for one in changes if one.row.metric == threshold.metric]
    untold = [one for one in found if one.verdict is Verdict.UNTOLD]
    broken = tuple(one for one in found if threshold.broken_by(one))
    return Judgement(threshold, broken, len(found) - len(untold), len(untold))
