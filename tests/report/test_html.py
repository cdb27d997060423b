"""The HTML report: whole, self-contained, and honest about what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deduplab.analysis import Figures, findings, rows
from deduplab.analysis.series import Bar, footprint_bars
from deduplab.cell import CellResult
from deduplab.errors import StoreError
from deduplab.model import OutcomeKind
from deduplab.report import figures, html, wording
from deduplab.run_record import RunRecord
from tests.report.factory import (
    COMPRESSED,
    DUCKDB,
    POSTGRES,
    REFERENCES,
    SQLITE,
    SYSTEMS,
    Behaviour,
    failed,
    matrix,
    run_of,
    without_files,
)

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr"}
INTERVAL = re.compile(r'class="ci">-?[0-9.]+(–| to )')


class Page(HTMLParser):
    """Checks nesting and collects what a page shows, refers to and contains."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.shown: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "action", "data") and value:
                self.references.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "title"):
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.shown)


def checked(page: str) -> Page:
    """Parse a report and check what must hold for each."""
    found = Page(page)
    assert found.open == []
    assert "script" not in found.tags
    assert not found.tags & {"link", "iframe", "object", "embed", "img"}
    assert all(reference.startswith("#") for reference in found.references), found.references
    assert {reference[1:] for reference in found.references} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert not re.search(r"\b(nan|NaN|inf|None|Undefined)\b", found.text)
    return found


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    cells = [
        *matrix((*REFERENCES, *SYSTEMS)),
        *matrix([Behaviour("null", unique_cost=0.0)]),
        *matrix([replace(DUCKDB, noise=0.01)], payloads=["text_document"], repetitions=2),
    ]
    run = run_of(tmp_path_factory.mktemp("full"), cells)
    target = html.write(run, run.root / "sub" / "report.html")
    return target.read_text(encoding="utf-8")


def test_the_page_is_whole_and_needs_nothing_else(full: str) -> None:
    checked(full)


def test_every_system_with_its_verdict(full: str) -> None:
    text = checked(full).text
    for behaviour in (*REFERENCES, *SYSTEMS):
        assert behaviour.system in text
    assert "clickhouse/replacing-by-hash" in text
    assert "Calibration passed" in text
    assert "compression-implicit" in text
    assert "Copies inside one inserted block go at ingestion" in text
    assert "Deleted is not reclaimed until vacuum-full" in text
    assert "stores nothing" in text


def test_values_intervals_and_n(full: str) -> None:
    text = checked(full).text
    assert "n=1" in text
    assert "n = 2, ranges of the draws below the values" in text
    assert INTERVAL.search(full)


def test_the_first_table_has_costs_with_intervals_at_every_moment(full: str) -> None:
    table = full.split('<table class="answers">')[1].split("</table>")[0]
    bodies = [Page(body) for body in re.findall(r"<tbody>.*?</tbody>", table, re.DOTALL)]
    assert len(bodies) == len(SYSTEMS) + 1
    body = next(body for body in bodies if "text_document" in body.text)
    words = body.text.split()
    moments = [words.index(moment) for moment in ("flush", "rest", "reclaim")]
    assert moments == sorted(moments)
    assert INTERVAL.search(table)
    assert "distance effect: 0.95 of eta" in body.text
    # u, two c and two eta, each with its interval
    flush = words[moments[0] + 1 : moments[1]]
    assert len([word for word in flush if re.fullmatch(r"-?[0-9.]+(–[0-9.]+)?", word)]) >= 10
    single = next(body for body in bodies if "sqlite" in body.text)
    assert "no distance effect" in single.text
    assert "–" not in single.text, "one repetition has no interval, and everything has a value"


def test_a_matrix_of_systems_and_payloads_leads_to_each_answer(tmp_path: Path) -> None:
    cells = matrix([SQLITE, DUCKDB], ["random_binary", "uuid_keys"], distances=["shuffled"])
    # of one payload nothing counts, and one system was not run with the other
    cells = [
        failed(cell, OutcomeKind.FAILED, "no luck")
        if (cell.cell.system, cell.cell.bulk.payload) == ("sqlite", "uuid_keys")
        else cell
        for cell in cells
        if (cell.cell.system, cell.cell.bulk.payload) != ("duckdb", "random_binary")
    ]
    page = html.render(run_of(tmp_path, cells))
    found = checked(page)
    overview = page.split("Eta at rest of copies")[1].split("</table>")[0]
    marks = re.findall(r'<a href="#(answer-\d+)">([^<]+)</a>', overview)
    assert len(marks) == 3
    assert {place for place, _ in marks} <= set(found.ids)
    assert [text for _, text in marks].count("–") == 1
    assert overview.count("<td></td>") == 1
    assert "no luck" in overview
    assert 'colspan="1" class="mid"' in page, "a column of adjacent copies, of which there are none"


def test_one_system_or_one_payload_needs_no_matrix(tmp_path: Path) -> None:
    page = html.render(run_of(tmp_path, matrix([SQLITE, DUCKDB])))
    assert "Eta at rest of copies" not in page
    checked(page)


def test_figures_that_the_caller_has_are_not_derived_and_cells_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, matrix([SQLITE]))
    expected, found = html.render(run), Figures.of(run)
    assert found.rows == rows(run)
    monkeypatch.delattr(html, "Figures")
    monkeypatch.delattr(RunRecord, "cell")
    assert html.render(run, found) == expected
    assert html.write(run, tmp_path / "a.html", found).read_text(encoding="utf-8") == expected


def test_a_run_without_files_shows_the_layer_engine(tmp_path: Path) -> None:
    run = run_of(tmp_path, [without_files(cell) for cell in matrix([POSTGRES, DUCKDB])])
    text = checked(html.render(run)).text
    assert "postgresql (layer ENGINE)" in text
    assert "random_binary, U90 shuffled, layer ENGINE" in text
    assert "compression-implicit" in text
    assert "eta 0.97 adjacent, 0.02 shuffled" in text
    (first, second) = findings(rows(run)).lines
    assert first[0] == "duckdb (layer ENGINE)"
    assert "0.96 0.97 0.97" in first
    assert "0.02 0.05 0.98" in second


def test_files_that_are_censored_are_not_replaced_by_engine(tmp_path: Path) -> None:
    run = run_of(tmp_path, matrix([replace(SQLITE, censored="baseline")]))
    text = checked(html.render(run)).text
    assert "(layer ENGINE)" not in text
    assert "censored" in text


def test_what_is_reproduced_is_named_whole(tmp_path: Path) -> None:
    run = run_of(tmp_path, matrix([SQLITE]))
    assert "deduplab run plan.toml in the run's directory" in " ".join(
        checked(html.render(run)).text.split()
    )
    run.header = replace(run.header, scale=4, only=("sqlite", "plain"))
    page = " ".join(checked(html.render(run)).text.split())
    assert "deduplab run plan.toml --scale 4 --only sqlite,plain in the run" in page
    assert "rest = size unchanged and system idle for 1 s; work that starts later" in page


def test_environment_plan_and_method(full: str) -> None:
    text = checked(full).text
    for words in ("Example CPU 3.0 GHz", "ext4 (rw,relatime)", "numpy", 'name = "quick"'):
        assert words in text
    assert "deduplab report 2026-11-23-quick --json" in text
    assert "@media print" in full
    assert 'name="viewport"' in full


def test_figures_scale_and_say_what_they_are(full: str) -> None:
    drawings = re.findall(r"<svg [^>]*>", full)
    assert len(drawings) >= 8
    for opening in drawings:
        assert re.fullmatch(r'<svg viewBox="[^"]+" role="img" aria-label="[^"]+">', opening)


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    first = html.render(run_of(tmp_path / "a", matrix([SQLITE])))
    second = html.render(run_of(tmp_path / "b", matrix([SQLITE])))
    assert first == second


def _all_failed(cells: list[CellResult]) -> list[CellResult]:
    return [failed(cell, OutcomeKind.FAILED, "no <answer> & no log") for cell in cells]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (list, "Not calibrated"),
        (lambda: matrix([SQLITE], grades=(0,)), "Not calibrated"),
        (lambda: matrix([SQLITE], grades=(90,), distances=["adjacent"]), "undecided"),
        (lambda: matrix([SQLITE], distances=[65536]), "65536"),
        (lambda: _all_failed(matrix([SQLITE])), "no <answer> & no log"),
        (lambda: matrix([replace(SQLITE, censored="bulk")]), "censored"),
        (lambda: matrix([replace(SQLITE, censored="baseline")]), "censored"),
        (lambda: matrix([replace(COMPRESSED, shuffled=(0.2, 0.2, 0.2))]), "Calibration FAILED"),
    ],
    ids=["empty", "u0", "no-control", "bytes", "failed", "censored", "no-base", "uncalibrated"],
)
def test_poor_runs_give_honest_pages(
    tmp_path: Path, cells: Callable[[], list[CellResult]], expected: str
) -> None:
    run = run_of(tmp_path, cells(), lambda ids: [*ids, "a cell that is still to run"])
    text = checked(html.render(run)).text
    assert expected in text
    assert "not run yet" in text


def test_a_target_that_can_not_be_written_is_a_store_error(tmp_path: Path) -> None:
    run = run_of(tmp_path, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written"):
        html.write(run, tmp_path / "file" / "report.html")


def test_footprints_without_components_are_drawn_without_a_legend(tmp_path: Path) -> None:
    run = run_of(tmp_path, matrix([replace(SQLITE, censored="baseline")]))
    (bars,) = footprint_bars(rows(run))
    bare = replace(bars, bars=tuple(Bar(bar.label, {}, 1.25) for bar in bars.bars))
    drawn = figures.footprints(bare, "bare")
    assert "1.25" in drawn
    assert "data" not in re.findall(r">([a-z]+)</text>", drawn)


def test_throughput_is_shown_with_its_n_and_intervals(tmp_path: Path) -> None:
    results = list(matrix([SQLITE], repetitions=3))
    slower = [
        replace(entry, duration_ns=entry.duration_ns * (10 + results[0].cell.repetition))
        for entry in results[0].measurements
    ]
    results[0] = replace(results[0], measurements=tuple(slower))
    run = run_of(tmp_path, results)
    words = " ".join(checked(html.render(run)).text.split())
    table = words[words.index("stage loop n objects/s") :]
    rate = next(
        row
        for row in rows(run)
        if (row.metric, row.stage, row.grade_asked) == ("objects_per_s", "bulk", "U0")
    )
    assert rate.ci_low != rate.ci_high
    shown = f"bulk closed {rate.n} {wording.value(rate)} {wording.interval(rate)}"
    assert " ".join(shown.split()) in table


def test_latencies_that_are_lost_are_damage_and_not_fewer_repetitions(tmp_path: Path) -> None:
    run = run_of(tmp_path, matrix([SQLITE]))
    next((run.root / "cells").glob("*/latency-0.npy")).unlink()
    with pytest.raises(StoreError, match=r"latency-0\.npy is missing"):
        rows(run)
