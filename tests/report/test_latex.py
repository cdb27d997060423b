"""What a run becomes for a paper: whole, the same each time, and only where it may be written."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import deduplab
from deduplab.analysis import Figures, Row, rows
from deduplab.cli.report_command import command
from deduplab.errors import PlanError, StoreError
from deduplab.model import OutcomeKind
from deduplab.report import html
from deduplab.report.identity import identity_of
from deduplab.report.latex.document import files_of
from deduplab.report.latex.folder import SUMS, write_folder
from deduplab.report.latex.macros import macros
from deduplab.report.latex.numerals import numeral, typeset
from deduplab.store import Run
from tests.report.factory import DUCKDB, PLAIN, REPLACING, SQLITE, failed, matrix, run_of

ROOT = Path(__file__).parents[2]
POINTS_AN_INCH = 72


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    noisy = [replace(system, noise=0.01) for system in (SQLITE, DUCKDB, REPLACING)]
    cells = matrix([*noisy, PLAIN], grades=(0, 90), repetitions=3)
    return run_of(tmp_path_factory.mktemp("latex"), cells)


@pytest.fixture(scope="module")
def found(run: Run) -> list[Row]:
    return rows(run)


@pytest.fixture(scope="module")
def files(run: Run) -> dict[str, bytes]:
    return files_of(Figures.of(run))


def test_every_section_has_its_tables_and_figures(files: dict[str, bytes]) -> None:
    assert {"main.tex", "macros.tex", "captions.tex"} < set(files)
    tables = {path for path in files if path.startswith("tables/")}
    for name in ("costs-random-binary", "mechanisms", "deletion", "throughput-random-binary",
                 "latency-random-binary", "calibration"):  # fmt: skip
        assert f"tables/{name}.tex" in tables
    figures = {path for path in files if path.startswith("figures/")}
    names = {"eta", "throughput", "latency"}
    assert figures == {f"figures/{name}-random-binary.pdf" for name in names}
    main = files["main.tex"].decode()
    for path in (*tables, *figures):
        assert f"{{{path.rpartition('.')[0]}}}" in main, f"main.tex does not show {path}"


def test_tables_and_macros_say_what_analysis_says(
    found: list[Row], files: dict[str, bytes]
) -> None:
    costs = b"".join(files[path] for path in files if path.startswith("tables/costs")).decode()
    text = files["macros.tex"].decode()
    defined = dict(re.findall(r"^\\newcommand\{\\(\w+)\}\{(.*)\}$", text, re.MULTILINE))
    named = macros(found)
    assert len(named) > 200
    for name, row in named:
        if row.value is None:
            assert (defined[name], f"{name}Why" in defined) == ("\\dlMissing", True)
            continue
        assert defined[name] == numeral(row.value, row.unit)
        assert defined[f"{name}N"] == str(row.n)
        if row.ci_low is not None and row.ci_high is not None:
            assert defined[f"{name}Low"] == numeral(row.ci_low, row.unit)
            assert defined[f"{name}High"] == numeral(row.ci_high, row.unit)
    shown = [
        row
        for _, row in named
        if (row.stage, row.grade_asked, row.metric) == ("bulk", "U90", "dedup_efficiency")
        and row.value is not None
    ]
    assert len(shown) >= 22
    for row in shown:
        assert f"& {typeset(numeral(row.value or 0.0, row.unit))} & {{[}}" in costs


def test_names_of_macros_are_unlike_and_are_letters_alone(found: list[Row]) -> None:
    names = [name for name, _ in macros(found)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("dl[A-Za-z]+", name) for name in names)
    endings = ("Low", "High", "N", "Why", "Remark")
    assert not {f"{name}{ending}" for name in names for ending in endings} & set(names)


def test_names_do_not_depend_on_what_else_is_in_the_run(tmp_path: Path, found: list[Row]) -> None:
    alone = rows(run_of(tmp_path, matrix([SQLITE], grades=(0, 90), distances=["shuffled"])))
    names = {name for name, _ in macros(alone)}
    assert len(names) > 50
    assert names <= {name for name, _ in macros(found)}
    assert all(name.startswith("dlSqliteRandomBinary") for name in names)


def test_text_files_are_ascii_and_begin_with_what_they_were_made_of(
    run: Run, files: dict[str, bytes]
) -> None:
    about = f"% {identity_of(run.header).sentence}\n"
    for path, content in files.items():
        if path.endswith(".tex"):
            assert content.decode("ascii").startswith(about), path
    assert "d" * 64 in about
    assert "deduplab of a version that was not recorded" in about


def test_equal_runs_give_equal_bytes_whatever_the_process(tmp_path: Path) -> None:
    cells = matrix([replace(SQLITE, noise=0.01)], grades=(0, 90), repetitions=2)
    run_of(tmp_path / "a", cells)
    run_of(tmp_path / "b", list(reversed(cells)), planned=sorted)
    program = (
        "import sys; from pathlib import Path\n"
        "from deduplab.analysis import Figures\n"
        "from deduplab.store import Run\n"
        "from deduplab.report.latex.document import files_of\n"
        "from deduplab.report.latex.folder import write_folder\n"
        "write_folder(Path(sys.argv[2]), files_of(Figures.of(Run.open(Path(sys.argv[1])))))"
    )
    for name, seed in (("a", "1"), ("b", "2")):
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / name / "run", tmp_path / f"out-{name}"],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True, timeout=120,
        )  # fmt: skip
    first, second = ((tmp_path / f"out-{name}" / SUMS).read_text() for name in "ab")
    assert first == second
    assert first.count("\n") > 10


def test_figures_are_a_column_wide_with_embedded_fonts_and_the_runs_date(
    files: dict[str, bytes],
) -> None:
    for path in (path for path in files if path.endswith(".pdf")):
        drawn = files[path]
        (box,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", drawn)
        assert float(box[0]) <= 3.35 * POINTS_AN_INCH
        assert float(box[1]) <= 9.5 * POINTS_AN_INCH
        assert b"/FontFile2" in drawn, "a TrueType font, which is what type 42 wraps"
        assert b"/Type3" not in drawn
        assert set(re.findall(rb"D:\d{8}", drawn)) == {b"D:20231114"}, "the run's date alone"
        assert b"/Producer" not in drawn


def test_what_does_not_count_is_a_table_with_its_reasons(tmp_path: Path) -> None:
    first, *others = matrix([SQLITE], grades=(0, 90))
    poor = [failed(one, OutcomeKind.FAILED, "100 % of a_b\nwas lost & gone") for one in others]
    files = files_of(Figures.of(run_of(tmp_path, [first, *poor], lambda ids: [*ids, "one more"])))
    assert r"100 \% of a\_b was lost \& gone" in files["tables/excluded.tex"].decode()
    assert r"100 \% of a\_b was lost \& gone" in files["tables/costs-random-binary.tex"].decode()
    text = files["macros.tex"].decode()
    assert r"\newcommand{\dlRunCellsPlanned}{4}" in text
    assert r"\newcommand{\dlRunCellsOk}{1}" in text
    assert not [path for path in files if path.startswith("figures/eta")]


def test_a_run_without_cells_has_a_document_that_says_so(tmp_path: Path) -> None:
    files = files_of(Figures.of(run_of(tmp_path, [])))
    assert set(files) == {"main.tex", "macros.tex", "captions.tex"}
    assert "No cell was committed." in files["main.tex"].decode()


def test_the_page_says_how_the_run_is_identified(run: Run) -> None:
    page = " ".join(html.render(run).split())
    sentence = identity_of(run.header).sentence
    assert f"the run is identified by: {sentence}." in page
    for part in ("2026-11-23-quick", "plan quick", "d" * 64, "Example CPU 3.0 GHz", "6.1.0"):
        assert part in sentence


def test_written_again_the_folder_has_the_new_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "paper"
    write_folder(folder, {"main.tex": b"one", "tables/a.tex": b"a", "figures/b.pdf": b"b"})
    (folder / "main.aux").write_text("what LaTeX left")
    (folder / "tables" / "mine.tex").write_text("mine")
    write_folder(folder, {"main.tex": b"two"})
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {"main.tex", "main.aux", "tables/mine.tex", SUMS}
    assert (folder / "main.tex").read_bytes() == b"two"
    assert not (folder / "figures").exists()
    assert (folder / SUMS).read_text() == f"{hashlib.sha256(b'two').hexdigest()}  main.tex\n"


def test_what_others_wrote_or_edited_is_left_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "main.tex").write_text("a paper")
    with pytest.raises(PlanError, match=r"main\.tex was not written by deduplab"):
        write_folder(tmp_path, {"captions.tex": b"c", "main.tex": b"m"})
    assert [path.name for path in tmp_path.iterdir()] == ["main.tex"]
    (tmp_path / "main.tex").unlink()
    write_folder(tmp_path, {"main.tex": b"m", "tables/a.tex": b"a"})
    (tmp_path / "tables" / "a.tex").write_text("edited")
    with pytest.raises(PlanError, match=r"a\.tex was not written by deduplab, or was changed"):
        write_folder(tmp_path, {"main.tex": b"other"})
    assert (tmp_path / "main.tex").read_bytes() == b"m"


def test_a_list_that_points_outside_removes_nothing_there(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    folder = tmp_path / "folder"
    folder.mkdir()
    digest = hashlib.sha256(b"x").hexdigest()
    (folder / SUMS).write_text(f"{digest}  ../outside.txt\n{digest}  {outside}\n")
    write_folder(folder, {"main.tex": b"m"})
    assert outside.read_text() == "x"


def test_a_folder_that_can_not_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written"):
        write_folder(tmp_path / "file" / "folder", {"main.tex": b"m"})


def test_the_command_writes_the_folder_and_no_page(tmp_path: Path) -> None:
    run = run_of(tmp_path, matrix([SQLITE], grades=(0, 90)))
    folder = tmp_path / "paper"
    done = CliRunner().invoke(command, [str(run.root), "--latex", str(folder)])
    assert done.exit_code == 0, done.output
    assert "numbers as macros" in done.output
    assert f"cd {folder} && pdflatex main.tex" in done.output
    assert (folder / "main.tex").is_file()
    assert not (run.root / "report.html").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json"], "--latex and --json exclude each other"),
        (["--coverage"], "--latex and --coverage exclude each other"),
        (["-o", "x.html"], "--latex writes no page; drop -o"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    tmp_path: Path, options: list[str], words: str
) -> None:
    done = CliRunner().invoke(command, ["latest", "--latex", str(tmp_path / "x"), *options])
    assert isinstance(done.exception, PlanError)
    assert str(done.exception) == words
    assert not (tmp_path / "x").exists()


def test_the_citation_file_names_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert found["cff-version"] == "1.2.0"
    assert found["version"] == deduplab.__version__
    assert found["license"] == "Apache-2.0"
