"""A measurement in the making: what a stage has given so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from deduplab.bench.clock import Timing
from deduplab.model import ColdStart, Measurement, Moment, OnDiskReading, Outcome, Stage


@dataclass(slots=True)
class StageRecord:
    """What :class:`~deduplab.model.Measurement` will hold, while its stage runs.

    ``timing`` has the timed regions, everything else is filled in outside the clock.
    """

    stage: Stage
    position: int
    filled: bool
    mode: str = ""
    objects: int = 0
    logical_bytes: int = 0
    unique_bytes: int = 0
    flush_ns: int = 0
    storage_write_bytes: int | None = None
    timing: Timing = field(default_factory=Timing)
    moments: list[Moment] = field(default_factory=list)
    on_disk: OnDiskReading | None = None
    cold: ColdStart | None = None

    def frozen(self, outcome: Outcome) -> Measurement:
        """Return the measurement, with how it ended."""
        return Measurement(
            stage=self.stage,
            position=self.position,
            mode=self.mode,
            filled=self.filled,
            objects=self.objects,
            acknowledged=self.timing.acknowledged,
            logical_bytes=self.logical_bytes,
            unique_bytes=self.unique_bytes,
            operations=len(self.timing.latencies_ns),
            duration_ns=self.timing.duration_ns,
            flush_ns=self.flush_ns,
            storage_write_bytes=self.storage_write_bytes,
            moments=tuple(self.moments),
            outcome=outcome,
            on_disk=self.on_disk,
            rate_per_s=self.timing.rate_per_s,
            cold=self.cold,
            clients=self.timing.clients,
            clients_waited_ns=self.timing.waited_ns,
        )
