"""Open loops and cold reads in the report: tables of their own, and figures that stay apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from deduplab.analysis import rows
from deduplab.analysis.series import cold_reads
from deduplab.cell import CellResult
from deduplab.model import ColdStart, Stage
from deduplab.report import html
from deduplab.store import Run
from tests.report import factory
from tests.report.test_html import checked

COLD = ColdStart(250_000_000, 8 << 20, 4 << 20, 0, 64 << 10)


def with_cold_read(result: CellResult) -> CellResult:
    """Add a cold read, ten times slower than the warm one, to what a cell gave."""
    (read,) = (entry for entry in result.measurements if entry.stage is Stage.READ)
    last = len(result.measurements)
    cold = replace(read, stage=Stage.COLD_READ, position=last, cold=COLD)
    stages = (*result.cell.stages, Stage.COLD_READ)
    return replace(
        result,
        cell=replace(result.cell, stages=stages),
        measurements=(*result.measurements, replace(cold, duration_ns=10 * read.duration_ns)),
    )


def at_rate(result: CellResult, rate_per_s: float) -> CellResult:
    """Make a cell's inserts those of an open loop."""
    return replace(
        result,
        cell=replace(result.cell, rate_per_s=rate_per_s),
        measurements=tuple(
            replace(entry, rate_per_s=rate_per_s) if entry.stage is Stage.INSERT else entry
            for entry in result.measurements
        ),
    )


def run_of(root: Path, results: list[CellResult]) -> Run:
    """Write cells into the store; service takes half as long as what latency counts."""
    run = factory.run_of(root, [])
    for result in results:
        latencies_ns = {
            position: np.stack([values, values // 2])
            if result.measurements[position].rate_per_s
            else values
            for position, values in factory.latencies_of(result).items()
        }
        run.commit(result, latencies_ns)
    return run


def test_a_page_has_a_table_of_open_loops_and_one_of_cold_reads(tmp_path: Path) -> None:
    plain = list(factory.matrix([factory.SQLITE], repetitions=2))
    run = run_of(tmp_path, [*map(with_cold_read, plain), *(at_rate(one, 500.0) for one in plain)])
    page = checked(html.render(run))
    words = " ".join(page.text.split())
    assert {"open-loops", "cold", "times"} <= set(page.ids)
    assert "sqlite at 500/s random_binary, U0 insert 2 500 " in words
    assert "cold-read closed 2" in words
    assert "250 ms 8.00 MiB 4.00 MiB 0 B 64.0 KiB" in words


def test_a_page_without_them_does_not_speak_of_them(tmp_path: Path) -> None:
    page = checked(html.render(run_of(tmp_path, list(factory.matrix([factory.SQLITE])))))
    assert not {"open-loops", "cold"} & set(page.ids)
    assert "open, " not in page.text


def test_rates_and_cold_reads_are_never_put_together_with_others(tmp_path: Path) -> None:
    plain = list(factory.matrix([factory.SQLITE], grades=(0,), repetitions=3))
    cells = [
        *map(with_cold_read, plain),
        *(at_rate(one, rate) for one in plain for rate in (5.0, 9.0)),
    ]
    found = rows(run_of(tmp_path, cells))
    inserts = {
        (row.rate_per_s, row.metric): row.n for row in found if row.stage == "insert" and row.value
    }
    assert {inserts[rate, "latency_p50_ns"] for rate in (None, 5, 9)} == {3}
    assert inserts[5, "service_p50_ns"] == 3
    assert (None, "service_p50_ns") not in inserts
    (cold,) = cold_reads(found)
    assert cold.warm is not None
    assert cold.cold.objects_per_s is not None
    assert cold.warm.objects_per_s is not None
    ratio = (cold.warm.objects_per_s.value or 0) / (cold.cold.objects_per_s.value or 1)
    assert round(ratio, 6) == 10
    assert cold.first is not None
    assert cold.first.n == 3
