"""A context: what the rows of one group share, and how a figure or its absence becomes a row."""

from __future__ import annotations

from dataclasses import dataclass

from deduplab.analysis.footprints import Gauge, Sample, Spot
from deduplab.analysis.groups import Group
from deduplab.analysis.row import Row
from deduplab.analysis.statistics import Estimate
from deduplab.model import Outcome, OutcomeKind


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the chain, and on which layer by which ruler, a figure stands."""

    stage: str | None = None
    moment: str | None = None
    mode: str | None = None
    layer: str | None = None
    ruler: str | None = None

    @classmethod
    def of(cls, spot: Spot, gauge: Gauge | None = None) -> Place:
        """Return the place of a spot; the baseline has neither stage nor moment; a
        spot without a moment is its whole stage.
        """
        moment = (spot.moment or None) if spot.stage else None
        layer = gauge.layer.value if gauge else None
        ruler = gauge.ruler.value if gauge else None
        return cls(spot.stage.value if spot.stage else None, moment, spot.mode, layer, ruler)


@dataclass(frozen=True, slots=True)
class Context:
    """Makes the rows of one group."""

    run: str
    group: Group

    def figure(
        self, place: Place, metric: str, unit: str, estimate: Estimate, remark: str = ""
    ) -> Row:
        """Return the row of a figure; one that is not defined becomes INVALID."""
        if estimate.value is None:
            words = remark or "not defined: it would divide by nothing"
            return self.absent(place, metric, unit, Outcome(OutcomeKind.INVALID, words))
        return self._row(place, metric, unit, estimate, OutcomeKind.OK, remark)

    def absent(self, place: Place, metric: str, unit: str, problem: Outcome) -> Row:
        """Return the row of a figure that can't be had, with the reason."""
        kind = OutcomeKind.INVALID if problem.ok else problem.kind
        reason = problem.reason or "not measured"
        return self._row(place, metric, unit, Estimate(None, None, None, 0), kind, reason)

    def _row(
        self,
        place: Place,
        metric: str,
        unit: str,
        estimate: Estimate,
        kind: OutcomeKind,
        reason: str,
    ) -> Row:
        group = self.group
        return Row(
            run=self.run,
            system=group.series.system,
            variant=group.series.variant,
            payload=group.series.payload,
            layout=group.series.layout,
            grade_asked=group.grade_asked,
            grade_achieved=group.grade_achieved,
            distance=group.distance,
            placement=group.series.placement,
            rate_per_s=group.series.rate_per_s,
            clients=group.series.clients,
            replicas=group.series.replicas,
            stage=place.stage,
            moment=place.moment,
            mode=place.mode,
            layer=place.layer,
            ruler=place.ruler,
            metric=metric,
            value=estimate.value,
            ci_low=estimate.low,
            ci_high=estimate.high,
            n=estimate.n,
            unit=unit,
            outcome=kind.value,
            reason=reason,
            draws=estimate.draws,
        )


def left_out(*samples: Sample) -> str:
    """Word how many repetitions are not in a figure, and why; empty if all are."""
    missing = sum(entry.left_out for entry in samples)
    if not missing:
        return ""
    reason = next(entry.problem.reason for entry in samples if not entry.problem.ok)
    return f"{missing} repetition{'s' if missing > 1 else ''} left out: {reason}"


def cells_left_out(*groups: Group) -> str:
    """Word how many whole cells of groups do not count, and why; empty if all do."""
    failed = [cell for group in groups for cell in group.cells if not cell.outcome.ok]
    if not failed:
        return ""
    many = "s" if len(failed) > 1 else ""
    return f"{len(failed)} cell{many} left out: {failed[0].outcome.reason}"
