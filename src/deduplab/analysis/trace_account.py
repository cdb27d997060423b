"""The account of a trace: how often it looked, what that cost, and what it could not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from deduplab.analysis.trace_rates import NS_PER_S, duration_s
from deduplab.trace import (
    CLIENT_PREFIX,
    ENGINE_PREFIX,
    FILES_COLUMN,
    REPLICAS_COLUMN,
    SYSTEM_PREFIX,
    VOLUME_COLUMN,
    Trace,
)

_SOURCES: Final = {
    "files": FILES_COLUMN,
    "replicas": REPLICAS_COLUMN,
    "volume": VOLUME_COLUMN,
    "system": SYSTEM_PREFIX,
    "client": CLIENT_PREFIX,
    "engine": ENGINE_PREFIX,
}
_WORDS: Final = {
    "files": "files",
    "replicas": "files of all members",
    "volume": "volume",
    "system": "CPU of the system",
    "client": "CPU of the client",
    "engine": "counters of the engine",
}
_NOT_HERE: Final = "it has no directory or process of its own on this machine"
_ABSENT: Final = {
    "files": _NOT_HERE,
    "replicas": _NOT_HERE,
    "volume": "there was nothing to read",
    "system": _NOT_HERE,
    "client": "there was nothing to read",
    "engine": "it tells no counters that are cheap enough",
}
_EMBEDDED: Final = {
    "client": "the engine is embedded in it, so it is the system",
    "engine": "no other process can ask an embedded engine",
}


@dataclass(frozen=True, slots=True)
class Lack:
    """What a trace does not know, or not always.

    Attributes
    ----------
    source
        ``files``, ``replicas``, ``volume``, ``system``, ``client`` or ``engine``.
    share_known
        The share of samples that have it, 0 to below 1.
    reason
        Why not, the last time; empty where it was only looked at less often.
    """

    source: str
    share_known: float
    reason: str

    @property
    def words(self) -> str:
        """Say it: ``files in 8 % of samples``, or that there is none and why."""
        what = _WORDS[self.source]
        if not self.share_known:
            return f"no {what}: {self.reason}"
        share = f"{what} in {int(100 * self.share_known)} % of samples"  # 100 is all
        return f"{share}: {self.reason}" if self.reason else share


@dataclass(frozen=True, slots=True)
class TraceAccount:
    """What a trace is worth.

    Attributes
    ----------
    attained_hz
        Samples a second, those left out again included; None where there are too few to tell.
    tracer_cores
        The share of a core that the tracer took; None where it looked but once.
    """

    samples: int
    duration_s: float
    attained_hz: float | None
    missed_ticks: int
    kept_of: int
    tracer_cores: float | None
    lacks: tuple[Lack, ...]


def sources_of(trace: Trace) -> dict[str, int]:
    """Return how many columns a trace has of each source, of those that it has."""
    counts = {
        source: sum(name.startswith(start) for name in trace.columns)
        for source, start in _SOURCES.items()
    }
    return {source: count for source, count in counts.items() if count}


def account_of(trace: Trace, *, has_volume: bool) -> TraceAccount:
    """Return the account of a trace of an instance that lies on a volume of its own, or not."""
    lasted_s = duration_s(trace)
    return TraceAccount(
        samples=len(trace.at_ns),
        duration_s=lasted_s,
        attained_hz=_attained_hz(trace),
        missed_ticks=trace.missed_ticks,
        kept_of=trace.kept_of,
        tracer_cores=trace.tracer_cpu_ns / NS_PER_S / lasted_s if lasted_s else None,
        lacks=_lacks(trace, has_volume=has_volume),
    )


def _attained_hz(trace: Trace) -> float | None:
    # The last sample is taken when the cell ends, which is no tick.
    ticks_ns = trace.at_ns[:-1]
    if len(ticks_ns) < 2:
        return None
    return (len(ticks_ns) - 1) * trace.kept_of / (float(ticks_ns[-1] - ticks_ns[0]) / NS_PER_S)


def _lacks(trace: Trace, *, has_volume: bool) -> tuple[Lack, ...]:
    embedded = _share_known(trace, SYSTEM_PREFIX) > 0 and not _share_known(trace, CLIENT_PREFIX)
    found = []
    for source, start in _SOURCES.items():
        share = _share_known(trace, start)
        reason = trace.reasons.get(source, "")
        one_member = source == "replicas" and not share and not reason
        if share == 1 or one_member or (source == "volume" and not has_volume):
            continue
        if not share and not reason:
            reason = _EMBEDDED.get(source, _ABSENT[source]) if embedded else _ABSENT[source]
        found.append(Lack(source, share, reason))
    return tuple(found)


def _share_known(trace: Trace, start: str) -> float:
    """Return the share of samples in which some column that begins so has a value."""
    columns = [values for name, values in trace.columns.items() if name.startswith(start)]
    if not columns or not len(trace.at_ns):
        return 0.0
    return float((~np.isnan(np.array(columns))).any(axis=0).mean())
