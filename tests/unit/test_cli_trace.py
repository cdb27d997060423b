"""``deduplab trace``: a run, one trace by stages, CSV and JSON, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deduplab.cli.trace_command import command
from deduplab.errors import DeduplabError, PlanError, StoreError
from deduplab.store import Run
from deduplab.trace import FILES_COLUMN
from tests.report.factory import POSTGRES, SQLITE, matrix, result_of
from tests.report.trace_factory import MIB, asking, traced_run, usual_trace

WHY = "the tracer did not answer within 20 s"


def call(run: Run, *arguments: str | Path) -> Result:
    done = CliRunner(env={"COLUMNS": "160"}).invoke(command, [str(run.root), *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, DeduplabError | SystemExit):
        raise done.exception
    return done


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Three cells with a trace, one without."""
    first, second, third = (
        asking(result_of(SQLITE, "random_binary", grade, distance))
        for grade, distance in ((0, "none"), (50, "shuffled"), (90, "shuffled"))
    )
    third = replace(third, cell=replace(third.cell, layout="native"))
    lost = asking(result_of(POSTGRES, "random_binary", 50, "shuffled"), WHY)
    traced = [(one, usual_trace(missed_ticks=13)) for one in (first, second, third)]
    return traced_run(tmp_path, traced, [lost])


def id_of(run: Run, layout: str = "native") -> str:
    return next(one.cell.cell_id for one in run.cells() if one.cell.layout == layout)


def test_the_table_has_a_line_a_trace_and_says_what_is_missing(run: Run) -> None:
    done = call(run)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert len(lines) == 5
    line = next(one for one in lines if "native" in one)
    assert line.startswith(id_of(run)[:8])
    assert "sqlite random_binary U90 shuffled #1 native" in line
    assert line.split()[-7:] == ["2.9", "30", "13", "files,", "system", "2,", "client"]
    assert lines[-1] == f"no trace of 1 cell: {WHY}"


def test_the_table_as_json(run: Run) -> None:
    found = json.loads(call(run, "--json").output)
    assert found["run"] == run.header.run_id
    assert len(found["traces"]) == 3
    one = next(entry for entry in found["traces"] if entry["cell"] == id_of(run))
    assert (one["samples"], one["missed_ticks"]) == (30, 13)
    assert one["duration_s"] == pytest.approx(2.9)
    assert FILES_COLUMN in one["columns"]
    assert [entry["reason"] for entry in found["missing"]] == [WHY]


def test_one_trace_stage_by_stage(run: Run) -> None:
    done = call(run, "--cell", id_of(run)[:6])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    bulk = next(line for line in lines if line.startswith("bulk"))
    words = ["1.00 s", "1.60 s", "4.00 MiB", "60.0 MiB", "0.50", "0.50", "16.0 MiB"]
    assert bulk.split() == ["bulk", *" ".join(words).split()]
    assert any(line.startswith("30 samples in 2.9 s, 10.0 a second") for line in lines)
    assert "CPU of the client in 93 % of samples" in lines


def test_one_trace_as_json_has_modes_and_null_where_nothing_is_known(run: Run) -> None:
    found = json.loads(call(run, "--cell", id_of(run), "--json").output)
    assert [stage["stage"] for stage in found["stages"]] == [
        "baseline", "bulk", "reclaim", "reclaim",
    ]  # fmt: skip
    bulk = found["stages"][1]
    assert (bulk["files_begin_bytes"], bulk["files_end_bytes"]) == (4 * MIB, 60 * MIB)
    assert bulk["cpu_mean_cores"] == pytest.approx(0.5)
    assert found["stages"][3]["cpu_most_cores"] is None
    assert found["stages"][2]["mode"] == "", "position 1 is the read stage of these cells"
    assert found["stages"][3]["mode"] == "vacuum"


def test_csv_has_a_line_a_sample_and_nothing_where_nothing_is_known(
    run: Run, tmp_path: Path
) -> None:
    target = tmp_path / "trace.csv"
    done = call(run, "--cell", id_of(run), "--csv", target)
    assert done.output == f"30 samples: {target}\n"
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    assert len(rows) == 30
    assert list(rows[0])[:3] == ["at_s", "stage", "within"]
    assert set(rows[0]) == {"at_s", "stage", "within", *usual_trace().columns}
    assert rows[0] == {
        "at_s": "0.200000",
        "stage": "",
        "within": "",
        FILES_COLUMN: str(4 * MIB),
        "system_cpu_ns": "0",
        "system_write_bytes": "0",
        "client_cpu_ns": "",
    }
    at_2_s = next(row for row in rows if row["at_s"] == "2.000000")
    assert (at_2_s["stage"], at_2_s["within"]) == ("bulk", "flush")
    assert at_2_s["client_cpu_ns"] == "160000000"


def test_csv_on_standard_output_is_nothing_else(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "trace.csv"
    call(run, "--cell", id_of(run), "--csv", target)
    assert call(run, "--cell", id_of(run), "--csv", "-").output == target.read_text()


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["--csv", "-"], PlanError, "--cell ID"),
        (["--cell", "0", "--csv", "-", "--json"], PlanError, "choose one"),
        (["--cell", "xyz"], PlanError, "no cell that was measured begins 'xyz'"),
        (["--cell", ""], PlanError, "several cells begin ''"),
    ],
)
def test_what_is_refused(
    run: Run, arguments: list[str], kind: type[DeduplabError], words: str
) -> None:
    done = call(run, *arguments)
    assert isinstance(done.exception, kind)
    assert words in str(done.exception)


def test_a_beginning_of_several_ids_names_them(tmp_path: Path) -> None:
    cells = [asking(result) for result in matrix([SQLITE, POSTGRES], repetitions=4)]
    run = traced_run(tmp_path, [(one, usual_trace()) for one in cells])  # more than 16 cells
    names = sorted(run.committed_ids())
    start = next(one[0] for one, other in pairwise(names) if one[0] == other[0])
    done = call(run, "--cell", start)
    assert isinstance(done.exception, PlanError)
    assert next(name for name in names if name.startswith(start)) in str(done.exception)


def test_a_cell_without_a_trace_says_why(run: Run) -> None:
    lost = next(one.cell.cell_id for one in run.cells() if one.no_trace)
    done = call(run, "--cell", lost)
    assert isinstance(done.exception, StoreError)
    assert WHY in str(done.exception)


def test_a_run_without_traces_says_so(tmp_path: Path) -> None:
    run = traced_run(tmp_path, [(result, None) for result in matrix([SQLITE])])
    done = call(run)
    assert done.exit_code == 0
    assert "no traces in 2026-11-23-quick" in done.output
    assert json.loads(call(run, "--json").output)["traces"] == []
    one = call(run, "--cell", next(iter(run.committed_ids())))
    assert isinstance(one.exception, StoreError)
    assert "trace_hz = 0" in str(one.exception)


def test_a_damaged_trace_hides_no_other(run: Run) -> None:
    (run.root / "cells" / id_of(run) / "trace.npz").write_bytes(b"no zip")
    done = call(run)
    assert isinstance(done.exception, StoreError)
    assert id_of(run) in str(done.exception)
    assert done.output.count("sqlite") == 2


def test_a_file_that_cant_be_written_is_an_error(run: Run, tmp_path: Path) -> None:
    done = call(run, "--cell", id_of(run), "--csv", tmp_path / "no" / "trace.csv")
    assert isinstance(done.exception, StoreError)
    assert "can't be written" in str(done.exception)
