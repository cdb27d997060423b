"""Spans: the stages of a trace, from its marks, and what was done within each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from deduplab.trace import OPERATIONS, PARTS, Mark, Trace

BASELINE: Final = "baseline"
_END: Final = "end"


class Part(NamedTuple):
    """Something that was done within a stage; without a name in the baseline."""

    name: str
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of a trace, or the baseline before them; its parts leave no time out."""

    position: int
    name: str
    parts: tuple[Part, ...]

    @property
    def begin_ns(self) -> int:
        """When it began, in nanoseconds of the trace."""
        return self.parts[0].begin_ns

    @property
    def end_ns(self) -> int:
        """When the next one began."""
        return self.parts[-1].end_ns


def spans(trace: Trace) -> tuple[Span, ...]:
    """Return the stages in order of time; what lies before and behind the marks is in none."""
    last_ns = int(trace.at_ns[-1]) if len(trace.at_ns) else 0
    ends_ns = [mark.at_ns for mark in trace.marks[1:]]
    found: list[Span] = []
    for mark, end_ns in zip(trace.marks, [*ends_ns, last_ns], strict=False):
        if mark.name == _END:
            break
        part = Part(_part_of(mark), mark.at_ns, max(end_ns, mark.at_ns))
        if _is_within(mark) and found:
            stage = found.pop()
            found.append(Span(stage.position, stage.name, (*stage.parts, part)))
        else:
            found.append(Span(mark.position, mark.name, (part,)))
    return tuple(found)


def places(trace: Trace) -> list[tuple[str, str]]:
    """Return of each sample the stage and what was done within it; empty outside of all."""
    begun = [(part.begin_ns, span.name, part.name) for span in spans(trace) for part in span.parts]
    stages = [("", ""), *((stage, within) for _, stage, within in begun)]
    begins_ns = np.array([at_ns for at_ns, _, _ in begun], dtype=np.int64)
    numbers = np.searchsorted(begins_ns, trace.at_ns, side="right")
    end_ns = next((mark.at_ns for mark in trace.marks if mark.name == _END), None)
    return [
        ("", "") if end_ns is not None and at_ns >= end_ns else stages[number]
        for at_ns, number in zip(trace.at_ns.tolist(), numbers.tolist(), strict=True)
    ]


def _is_within(mark: Mark) -> bool:
    return mark.name in PARTS


def _part_of(mark: Mark) -> str:
    if _is_within(mark):
        return mark.name
    return "" if mark.name == BASELINE else OPERATIONS
