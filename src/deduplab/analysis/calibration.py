"""Calibration: whether the stores with a known answer come out as they must.

Judged is the component ``data``, so that what a store needs beside the data
(directories, an index) is accounted for; what all files together give is
reported beside it. Where the known answer is a number of bytes (compressed,
chunked), and where objects have lengths of their own, the ruler is ``apparent``:
``allocated`` rounds every file up to blocks, and that rounding is no property of
the data. Of objects of one length it takes the same from each, and cancels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from deduplab.analysis.footprints import FILES_ALLOCATED, Gauge, Spot, growth, sample
from deduplab.analysis.groups import Group, comparable, controls, grouped
from deduplab.analysis.known_answer import Case, Check, judged, near, reported
from deduplab.analysis.known_replicas import replica_checks
from deduplab.analysis.ratios import (
    cost_samples,
    dedup_efficiency,
    planned_spots,
    unique_cost,
)
from deduplab.analysis.statistics import Statistic, estimate
from deduplab.cell import CellResult
from deduplab.model import Layer, Outcome, OutcomeKind, Ruler, Stage
from deduplab.store import Run

REFERENCES: Final = ("plain", "single_instance", "chunked", "compressed")
HARNESS: Final = "null"
GRAIN: Final = "cdc-4096"  # the grain at which the chunked store cuts

_DATA_ALLOCATED: Final = Gauge(Layer.FILES, Ruler.ALLOCATED, "data")
_DATA_APPARENT: Final = Gauge(Layer.FILES, Ruler.APPARENT, "data")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The verdict over a run: ``passed``, ``failed``, or ``incomplete``.

    ``missing`` names the reference stores that the run does not contain.
    """

    verdict: str
    checks: tuple[Check, ...]
    missing: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the instrument may be believed."""
        return self.verdict == "passed"

    @property
    def summary(self) -> str:
        """One sentence for people."""
        answers = [check for check in self.checks if check.status != "reported"]
        failed = [check for check in answers if check.status == "failed"]
        if failed:
            stores = ", ".join(sorted({check.store for check in failed}))
            return (
                f"Calibration FAILED: {len(failed)} of {len(answers)} known answers did not come "
                f"out ({stores}). No figure of this run may be believed."
            )
        if self.verdict == "incomplete":
            why = (
                f"not in this run: {', '.join(self.missing)}"
                if self.missing
                else next(
                    (f"{check.store}: {check.detail}" for check in answers if not check.passed), ""
                )
            )
            return f"Calibration incomplete ({why}). The figures are not vouched for."
        return f"Calibration passed: all {len(answers)} known answers came out within 1 %."


def calibrate(run: Run) -> Calibration:
    """Judge the reference stores of a run.

    Raises
    ------
    StoreError
        If a cell can't be read.
    """
    return calibrate_cells(run.cells())


def calibrate_cells(results: Iterable[CellResult]) -> Calibration:
    """Judge the reference stores among these cells; other systems are passed over."""
    known = (*REFERENCES, HARNESS)
    groups = grouped(result for result in results if result.cell.system in known)
    checks = [check for store in known for check in _checks(store, groups)]
    missing = tuple(store for store in REFERENCES if not _of_store(groups, store))
    statuses = {check.status for check in checks}
    if "failed" in statuses:
        verdict = "failed"
    else:
        verdict = "incomplete" if missing or "incomplete" in statuses else "passed"
    return Calibration(verdict, tuple(checks), missing)


def _checks(store: str, groups: Sequence[Group]) -> Iterator[Check]:
    own = _of_store(groups, store)
    for payload in sorted({group.series.payload for group in own}):
        part = [group for group in own if group.series.payload == payload]
        if store == HARNESS:
            yield from _harness_checks(payload, part)
        elif store == "chunked":
            yield _chunked_check(payload, part)
        else:
            yield from _store_checks(store, payload, part)
        yield from replica_checks(store, payload, part)


def _store_checks(store: str, payload: str, part: Sequence[Group]) -> Iterator[Check]:
    """Check eta (and u where it is known) of plain, single_instance and compressed."""
    expected = 1.0 if store == "single_instance" else 0.0
    rounded_alike = store != "compressed" and _of_one_length(part)
    data = _DATA_ALLOCATED if rounded_alike else _DATA_APPARENT
    cases = list(_cases(part, dedup_efficiency, data))
    yield near(store, "eta, data", payload, cases, expected)
    whole = list(_cases(part, dedup_efficiency, FILES_ALLOCATED))
    yield reported(store, "eta, all files", payload, whole, "ratio", expected)
    firsts = [group for group in part if group.grade_percent == 0]
    costs = list(_cases(firsts, unique_cost, _DATA_APPARENT))
    if store == "plain" or (store == "compressed" and payload == "random_binary"):
        yield near(store, "u, data", payload, costs, 1.0)
    elif store == "compressed" and payload == "text_document":
        yield judged(store, "u < 1, data", payload, costs, 1.0, None, lambda value: value < 1)


def _of_one_length(part: Sequence[Group]) -> bool:
    """Whether all objects of these groups are equally long, by what their manifests counted."""
    lengths = {
        divmod(manifest.logical_bytes, manifest.objects)
        for group in part
        for cell in group.cells
        for manifest in (cell.bulk_manifest, cell.insert_manifest)
        if manifest is not None and manifest.objects
    }
    return len(lengths) == 1 and not next(iter(lengths))[1]


def _chunked_check(payload: str, part: Sequence[Group]) -> Check:
    """Check that what is stored are the unique chunks of the manifest, no more and no less."""
    cases = []
    spot = Spot(Stage.BULK, "rest")
    for group in part:

        def bound(cell: CellResult) -> int | Outcome:
            manifest = cell.bulk_manifest
            if manifest is None or GRAIN not in manifest.grain_unique_bytes:
                return Outcome(OutcomeKind.INVALID, f"the manifest has no grain {GRAIN}")
            return manifest.grain_unique_bytes[GRAIN]

        found = sample(group.counting, [growth(spot, _DATA_APPARENT), bound])
        problem = found.problem if group.refusal.ok else group.refusal
        if len(found.values):
            stored, expected = found.values.mean(axis=0)
            cases.append(Case(float(stored / expected), _where(group, spot)))
        else:
            cases.append(Case(None, _where(group, spot), problem.reason))
    return near("chunked", "stored / bound, data", payload, cases, 1.0)


def _harness_checks(payload: str, part: Sequence[Group]) -> Iterator[Check]:
    """Check that null stores nothing, and report what the harness costs an operation."""
    grown = []
    for group in part:
        for spot in planned_spots(group):
            found = sample(group.counting, [growth(spot, FILES_ALLOCATED)])
            if len(found.values):
                grown.append(Case(float(found.values.mean()), _where(group, spot)))
            elif found.problem.kind is not OutcomeKind.UNSUPPORTED:
                problem = found.problem if group.refusal.ok else group.refusal
                grown.append(Case(None, _where(group, spot), problem.reason))
    yield judged(HARNESS, "growth", payload, grown, 0.0, 0.0, lambda value: value == 0, "byte")
    for stage in (Stage.BULK, Stage.INSERT):
        cases = [
            Case(entry.duration_ns / entry.objects, f"{group.grade_asked} {group.distance}")
            for group in part
            for cell in group.counting
            for entry in cell.measurements
            if entry.stage is stage and entry.outcome.ok and entry.objects
            # Else it waited until operations were due, or worked on several at once.
            if entry.rate_per_s is None and entry.clients == 1
        ]
        what = f"harness overhead, {stage} object"
        yield reported(HARNESS, what, payload, cases, "ns", 0.0)


def _cases(part: Sequence[Group], statistic: Statistic, gauge: Gauge) -> Iterator[Case]:
    """Yield eta of every group with copies, or u of every group handed over, at all moments."""
    firsts = controls(part)
    of_copies = statistic is dedup_efficiency
    if of_copies:
        firsts = controls([group for group in part if group.grade_percent == 0])
    for group in part:
        if of_copies and group.grade_percent == 0:
            continue
        control = firsts.get(group.series)
        for spot in planned_spots(group):
            where = _where(group, spot)
            problem = _unpaired(group, control)
            if control is None or problem:
                yield Case(None, where, problem)
                continue
            cells, first = cost_samples(group, control, spot, gauge)
            needed = (cells, first) if of_copies else (first,)
            empty = next((entry for entry in needed if not len(entry.values)), None)
            if empty is None:
                figure = estimate(statistic, [entry.values for entry in needed])
                yield Case(figure.value, where, "" if figure.value is not None else "undefined")
            elif empty.problem.kind is not OutcomeKind.UNSUPPORTED:
                yield Case(None, where, empty.problem.reason)


def _unpaired(group: Group, control: Group | None) -> str:
    if not group.counting:
        return group.refusal.reason
    if control is None:
        return "no U0 control"
    if not control.counting:
        return f"no U0 control that counts: {control.refusal.reason}"
    return comparable(group, control).reason


def _where(group: Group, spot: Spot) -> str:
    distance = f" {group.distance}" if group.grade_percent else ""
    return f"{group.grade_asked}{distance}, {spot.stage} {spot.moment}"


def _of_store(groups: Sequence[Group], store: str) -> list[Group]:
    return [group for group in groups if group.series.system == store]
