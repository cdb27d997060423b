"""The section of traces: it shows what there is, says what there is not, and stays small."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from deduplab.report import html, trace_figures, trace_section
from deduplab.trace import FILES_COLUMN, VOLUME_COLUMN
from tests.report.factory import DUCKDB, POSTGRES, SQLITE, matrix, result_of
from tests.report.test_html import checked
from tests.report.trace_factory import MIB, MS, NAN, asking, trace_of, traced_run, usual_trace


def section(page: str) -> str:
    found = re.search(r'<section id="traces">.*?</section>', page, re.DOTALL)
    return found.group(0) if found else ""


def test_one_figure_a_system_of_the_cell_with_the_most_copies(tmp_path: Path) -> None:
    cells = [asking(result) for result in matrix([SQLITE, POSTGRES])]
    run = traced_run(tmp_path, [(result, usual_trace(missed_ticks=17)) for result in cells])
    page = html.render(run)
    text = checked(page).text
    found = section(page)
    assert found.count("<figure") == 2
    assert "postgresql, random_binary, U90 shuffled" in found
    assert "sqlite, random_binary, U90 shuffled" in found
    for words in ("bulk", "reclaim ×2", "bytes / L", "cores", "CPU over 0.5 s", "L = 62.5 MiB"):
        assert found.count(words) >= 2, words
    assert "5 of 5" in text
    assert ">17<" in found  # missed ticks
    assert ">10.0<" in found  # samples a second
    assert ">2.0<" in found  # 58 ms in 2.9 s
    assert "CPU of the client in 93 % of samples" in text
    assert "no counters of the engine: it tells no counters" in text
    assert "volume" not in re.sub(r"<svg.*?</svg>", "", found)
    assert '<a href="#traces">' in page


def test_a_report_without_traces_has_no_section(tmp_path: Path) -> None:
    run = traced_run(tmp_path, [(result, None) for result in matrix([SQLITE])])
    page = html.render(run)
    assert section(page) == ""
    assert "#traces" not in page


def test_traces_that_were_asked_for_and_are_not_there(tmp_path: Path) -> None:
    why = "the tracer did not answer within 20 s"
    run = traced_run(tmp_path, [(asking(result, why), None) for result in matrix([SQLITE])])
    found = section(html.render(run))
    assert "There are no traces of this run" in found
    assert f"5 cells ({why})" in found
    assert "<svg" not in found


def test_a_damaged_trace_costs_its_own_figure_alone(tmp_path: Path) -> None:
    cells = [asking(result_of(one, "random_binary", 90, "shuffled")) for one in (SQLITE, DUCKDB)]
    run = traced_run(tmp_path, [(result, usual_trace()) for result in cells])
    (run.root / "cells" / cells[0].cell.cell_id / "trace.npz").write_bytes(b"no zip")
    found = section(html.render(run))
    assert found.count("<figure") == 1
    assert "trace.npz is damaged" in found


def test_systems_there_is_no_room_for_are_named(tmp_path: Path) -> None:
    result = result_of(SQLITE, "random_binary", 90, "shuffled")
    cells = [
        asking(replace(result, cell=replace(result.cell, variant=f"v{number:02}")))
        for number in range(14)
    ]
    found = section(html.render(traced_run(tmp_path, [(one, usual_trace()) for one in cells])))
    assert found.count("<figure") == 12
    assert "Not drawn: sqlite/v12, sqlite/v13." in found
    assert "deduplab trace" in found


def test_missing_values_are_gaps_and_lone_samples_dots(tmp_path: Path) -> None:
    files = [NAN] * 30
    files[3:6] = [MIB, 20 * MIB, MIB]
    files[20] = 30 * MIB
    trace = trace_of({FILES_COLUMN: files, "system_cpu_ns": [NAN] * 30})
    result = asking(result_of(SQLITE, "random_binary", 90, "shuffled"))
    found = section(html.render(traced_run(tmp_path, [(result, trace)])))
    colour = trace_figures.FILES_COLOUR.lower()
    paths = re.findall(rf'<path d="([^"]*)"[^>]*stroke: {colour}', found)
    steps = [path.count("L") for path in paths if "C" not in path]  # what has curves is the dot
    assert sum(steps) == 2, "three samples that follow each other, and nothing beyond"
    dots = re.findall(rf"<use [^>]*fill: {colour}", found)
    assert len(dots) == 1, "the lone sample is a dot"
    assert "not seen" in found, "no CPU was"


def test_the_volume_is_in_the_key_where_there_is_one(tmp_path: Path) -> None:
    trace = trace_of({VOLUME_COLUMN: [MIB] * 30, FILES_COLUMN: [MIB] * 30})
    result = asking(result_of(SQLITE, "random_binary", 90, "shuffled"))
    run = traced_run(tmp_path, [(result, trace)])
    assert "volume" in dict(trace_section.content(run, list(run.cells()))["trace_key"])


def test_a_long_trace_does_not_make_a_large_page(tmp_path: Path) -> None:
    length = 20_000
    noise = np.random.default_rng(1).random(length) * MIB
    trace = trace_of(
        {
            FILES_COLUMN: noise,
            "system_cpu_ns": np.arange(length) * 50.0 * MS,
            "client_cpu_ns": np.cumsum(noise),
        }
    )
    result = asking(result_of(SQLITE, "random_binary", 90, "shuffled"))
    assert len(section(html.render(traced_run(tmp_path, [(result, trace)])))) < 60_000


def test_names_are_moved_apart_in_their_order_and_stay_inside() -> None:
    centres, widths = [0.0, 0.01, 0.02, 0.9, 0.99, 1.0], [0.1, 0.2, 0.1, 0.1, 0.1, 0.1]
    places = trace_figures.apart(centres, widths)
    ends = [(at - width / 2, at + width / 2) for at, width in zip(places, widths, strict=True)]
    assert ends[0][0] >= -1e-9
    assert ends[-1][1] <= 1 + 1e-9
    for (_, right), (left, _) in pairwise(ends):
        assert left >= right - 1e-9
