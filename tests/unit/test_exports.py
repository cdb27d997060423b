"""An export: the same rows, the same bytes, all of a run, and never another's place."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deduplab.analysis import export_json, rows
from deduplab.errors import PlanError, StoreError
from deduplab.exports.archive import ArchiveTarget
from deduplab.exports.catalogue import open_target
from deduplab.exports.content import Content, gathered
from deduplab.exports.directory import DirectoryTarget
from deduplab.exports.export import What
from deduplab.exports.manifest import Manifest
from deduplab.exports.receipts import read_receipts, standing
from deduplab.exports.still_there import require_still_there
from deduplab.exports.target import Target
from deduplab.store import Run
from deduplab.trace import Trace
from tests.report.factory import run_of
from tests.unit.exported_runs import (
    NOT_RUN,
    RUN_ID,
    a_run,
    brought,
    damage,
    one_more,
    require_sound,
)

LOCAL = ("results", "{run}.tar.gz", "one.tgz", "one.zip")


def test_an_export_has_all_of_a_run_and_is_a_run(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    done = brought(run, DirectoryTarget(tmp_path / "out"))
    folder = tmp_path / "out" / RUN_ID
    require_sound(folder)
    for path in (run.root / "cells").rglob("*"):
        if path.is_file():
            assert (folder / path.relative_to(run.root)).read_bytes() == path.read_bytes()
    exported = Run.open(folder)
    assert exported.header == run.header
    assert list(exported.cells()) == list(run.cells())
    assert export_json(rows(exported)) == export_json(rows(run))
    assert not list(run.root.glob(".*"))
    assert done.receipt.files == len([path for path in folder.rglob("*") if path.is_file()]) - 1


def test_figures_are_the_rows_of_the_report_in_both_formats(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    brought(run, DirectoryTarget(tmp_path / "out"))
    folder = tmp_path / "out" / RUN_ID
    expected = json.loads(export_json(rows(run)))
    assert any(row["value"] is None for row in expected), "figures that are missing, with reasons"
    table = pq.read_table(folder / "figures.parquet")
    assert table.to_pylist() == [row | {"distance": str(row["distance"])} for row in expected]
    read = csv_rows(folder)
    assert len(read) == len(expected)
    for found, row in zip(read, expected, strict=True):
        assert list(found) == list(row)
        for name, value in row.items():
            told = found[name]
            assert told == ("" if value is None else str(value)), name
            assert not isinstance(value, float) or float(told) == value


def csv_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "figures.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_does_not_count_is_exported_as_what_it_is(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    brought(run, DirectoryTarget(tmp_path / "out"))
    folder = tmp_path / "out" / RUN_ID
    assert json.loads((folder / "not_run.json").read_text()) == {NOT_RUN: "redis is not here"}
    counted = json.loads((folder / "coverage.json").read_text())
    cells = counted["cells"]
    assert (cells["OK"], cells["FAILED"], cells["INVALID"], cells["not run"]) == (2, 1, 1, 1)
    page = (folder / "report.html").read_text()
    assert "it was killed" in page
    assert "redis is not here" in page
    censored = [row for row in csv_rows(folder) if row["reason"].startswith("censored")]
    assert censored
    assert {row["value"] for row in censored} == {""}
    (trace,) = (folder / "traces").iterdir()
    kept = run.trace(trace.stem)
    assert isinstance(kept, Trace)
    lines = trace.read_text().splitlines()
    assert lines[0] == ",".join(["at_s", "stage", "within", *kept.columns])
    assert len(lines) == 1 + len(kept.at_ns)


@pytest.mark.parametrize("name", LOCAL)
def test_the_same_run_gives_the_same_bytes_and_twice_writes_nothing(
    name: str, tmp_path: Path
) -> None:
    run = a_run(tmp_path)
    shutil.copytree(run.root, tmp_path / "moved" / "elsewhere")
    first, second = tmp_path / "a", tmp_path / "b"
    assert brought(run, open_target(str(first / name))).what is What.WRITTEN
    brought(Run.open(tmp_path / "moved" / "elsewhere"), open_target(str(second / name)))
    assert contents(first) == contents(second)
    times = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert brought(run, open_target(str(first / name))).what is What.THERE
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == times
    assert len(read_receipts(run.root)) == 1


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", LOCAL)
def test_a_run_that_went_on_renews_its_export(name: str, tmp_path: Path) -> None:
    run = a_run(tmp_path)
    brought(run, open_target(str(tmp_path / "out" / name)))
    before = standing(run)
    assert len(before.receipts) == 1
    one_more(run)
    assert standing(run).reason == "it is not any more what was exported: export it again"
    done = brought(run, open_target(str(tmp_path / "out" / name)))
    assert (done.what, done.receipt.cells) == (What.RENEWED, 5)
    assert standing(run).reason == ""
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["results", "one.tar.gz", "one.zip"])
def test_another_runs_place_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    brought(a_run(tmp_path / "first"), open_target(str(tmp_path / "out" / name)))
    before = contents(tmp_path / "out")
    other = a_run(tmp_path / "second")
    header = other.root / "run.json"
    text = header.read_text().replace("Example CPU", "Another CPU")
    header.write_text(text)
    with pytest.raises(StoreError, match="another run of that name"):
        brought(Run.open(other.root), open_target(str(tmp_path / "out" / name)))
    if name != "results":
        header.write_text(text.replace(RUN_ID, "another"))
        with pytest.raises(StoreError, match=f"holds {RUN_ID}, and not run another"):
            brought(Run.open(other.root), open_target(str(tmp_path / "out" / name)))
    assert contents(tmp_path / "out") == before
    assert not read_receipts(other.root)


def test_results_that_are_at_the_target_alone_are_not_replaced(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    one_more(run)
    brought(run, DirectoryTarget(tmp_path / "out"))
    lost = sorted((run.root / "cells").iterdir())[0]
    shutil.rmtree(lost)
    with pytest.raises(StoreError, match=r"has results that are not here \(cells/"):
        brought(run, DirectoryTarget(tmp_path / "out"))
    require_sound(tmp_path / "out" / RUN_ID)


def test_a_cell_that_was_set_aside_is_no_loss(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    brought(run, DirectoryTarget(tmp_path / "out"))
    with run.locked():
        run.set_aside(sorted(run.committed_ids())[0])
    assert brought(run, DirectoryTarget(tmp_path / "out")).what is What.RENEWED
    require_sound(tmp_path / "out" / RUN_ID)
    assert len(list((tmp_path / "out" / RUN_ID / "set_aside").iterdir())) == 1


def test_what_is_no_export_is_left_as_it_is(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (tmp_path / "out" / RUN_ID).mkdir(parents=True)
    (tmp_path / "a.zip").write_bytes(b"no archive")
    (tmp_path / "a.tar.gz").write_bytes(b"no archive")
    for name, words in (("out", "is no export"), ("a.zip", "damaged"), ("a.tar.gz", "damaged")):
        with pytest.raises(StoreError, match=words):
            brought(run, open_target(str(tmp_path / name)))
    # The folder of runs itself has the run there.
    run.root.rename(tmp_path / RUN_ID)
    with pytest.raises(PlanError, match="would be deleted with it"):
        brought(Run.open(tmp_path / RUN_ID), DirectoryTarget(tmp_path / RUN_ID))
    with pytest.raises(StoreError, match="is no export"):
        brought(Run.open(tmp_path / RUN_ID), DirectoryTarget(tmp_path))


class Torn(DirectoryTarget):
    """Loses the last byte of a file on its way, as a disk may."""

    def write(self, content: Content) -> None:
        super().write(content)
        path = self.root / content.name / "figures.csv"
        path.write_bytes(path.read_bytes()[:-1])


def test_without_being_read_back_whole_there_is_no_receipt(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    with pytest.raises(StoreError, match=r"is not what it has to be: figures.csv has other bytes"):
        brought(run, Torn(tmp_path / "out"))
    assert standing(run).reason == "it is not exported"


def test_a_receipt_goes_before_what_it_is_of_is_changed(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    target = DirectoryTarget(tmp_path / "out")
    brought(run, target)
    page = tmp_path / "out" / RUN_ID / "report.html"
    page.write_text("damaged")
    with pytest.raises(StoreError, match=r"report\.html has other bytes"):
        brought(run, target)
    assert not read_receipts(run.root), "what lies there is not whole"
    shutil.rmtree(tmp_path / "out")
    brought(run, target)
    assert read_receipts(run.root)
    # Another version of deduplab makes another report of the same results.
    manifest = tmp_path / "out" / RUN_ID / "SHA256SUMS"
    manifest.write_text(re.sub(r"\w{64}  report", f"{'0' * 64}  report", manifest.read_text()))
    with pytest.raises(StoreError, match="other bytes"):
        brought(run, Torn(tmp_path / "out"))
    assert not read_receipts(run.root)


def test_an_export_that_is_used_as_a_run_stays_whole(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    first, second = DirectoryTarget(tmp_path / "out"), DirectoryTarget(tmp_path / "more")
    brought(run, first)
    brought(Run.open(tmp_path / "out" / RUN_ID), second)
    assert contents(tmp_path / "more" / RUN_ID).items() < contents(first.root / RUN_ID).items()
    with run.locked():
        require_still_there(run, [first, second])
        require_still_there(run)
        shutil.rmtree(tmp_path / "out" / RUN_ID / "cells")
        with pytest.raises(StoreError, match="is not whole at"):
            require_still_there(run)


def test_a_run_without_any_result_is_exported_too(tmp_path: Path) -> None:
    run = run_of(tmp_path, [], planned=lambda ids: [NOT_RUN])
    done = brought(run, DirectoryTarget(tmp_path / "out"))
    assert (done.receipt.cells, done.receipt.planned_cells) == (0, 1)
    require_sound(tmp_path / "out" / RUN_ID)
    assert pq.read_table(tmp_path / "out" / RUN_ID / "figures.parquet").num_rows == 0


@pytest.mark.parametrize("name", ["results", "one.tar.gz", "one.zip"])
def test_an_export_that_is_cut_short_leaves_nothing_and_one_that_was_killed_is_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    target = open_target(str(tmp_path / "out" / name))
    (tmp_path / "out" / "results" / f".staging-{RUN_ID}" / "cells").mkdir(parents=True)
    (run.root / ".export").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "to_bytes", lambda self: _interrupted())
        with pytest.raises(KeyboardInterrupt):
            brought(run, target)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not list(run.root.glob(".export*"))
    assert not read_receipts(run.root)
    assert brought(run, target).what is What.WRITTEN


def _interrupted() -> bytes:
    raise KeyboardInterrupt


def test_a_damaged_run_goes_out_only_where_that_is_asked_for(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    path = damage(run)
    target = DirectoryTarget(tmp_path / "out")
    with pytest.raises(StoreError, match=r"is damaged, so it is not exported: .*--damaged-too"):
        brought(run, target)
    assert not (tmp_path / "out").exists()
    done = brought(run, target, damaged_too=True)
    folder = tmp_path / "out" / RUN_ID
    require_sound(folder)
    assert done.receipt.damaged == 1
    told = (folder / "DAMAGED.txt").read_text()
    assert told.startswith(f"{path.relative_to(run.root)} is damaged")
    assert str(tmp_path) not in told
    assert not (folder / "figures.csv").exists()
    assert standing(run).reason.endswith("or it is damaged")


def test_what_is_not_of_a_run_is_neither_exported_nor_taken_for_exported(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run.root / "notes.txt").write_text("mine")
    brought(run, DirectoryTarget(tmp_path / "out"))
    assert not (tmp_path / "out" / RUN_ID / "notes.txt").exists()
    assert standing(run).reason.startswith("it holds notes.txt")
    (run.root / "notes.txt").unlink()
    assert standing(run).reason == ""
    cell = sorted((run.root / "cells").iterdir())[0]
    (cell / "link").symlink_to("/etc/passwd")
    with pytest.raises(StoreError, match="link is no regular file"):
        brought(run, DirectoryTarget(tmp_path / "out"))


def test_a_run_whose_id_is_no_name_of_a_folder_is_refused(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    header = run.root / "run.json"
    header.write_text(header.read_text().replace(RUN_ID, "../../elsewhere"))
    with pytest.raises(StoreError, match="can't be a folder"):
        brought(Run.open(run.root), DirectoryTarget(tmp_path / "out"))


@pytest.mark.parametrize("line", ["no checksums", f"{'0' * 64}  ../x", f"{'0' * 64}  /etc/x"])
def test_a_manifest_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(StoreError, match="there"):
        Manifest.parse(f"{line}\n".encode(), "there")


def test_a_secret_that_the_plan_refers_to_is_looked_for_in_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    plan = 'name = "quick"\n[systems.rest.remote]\nsecret = "env:LAB_SECRET"\n'
    (run.root / "plan.toml").write_text(plan)
    for secret, written in (("it was killed", "cells/"), ('"1 of 8"', "cells/"), ("nowhere", "")):
        monkeypatch.setenv("LAB_SECRET", secret)
        if not written:
            with run.locked(), gathered(run):
                continue
        with (
            run.locked(),
            pytest.raises(StoreError, match="holds the secret of env:LAB_SECRET") as e,
            gathered(run),
        ):
            pass
        assert str(e.value).startswith(written)
        assert secret not in str(e.value)


def test_targets_are_told_apart_and_what_names_none_is_refused(tmp_path: Path) -> None:
    kinds: dict[str, type[Target]] = {
        str(tmp_path / "new"): DirectoryTarget,
        str(tmp_path / "x.tar.gz"): ArchiveTarget,
        "{run}.zip": ArchiveTarget,
    }
    for text, kind in kinds.items():
        assert type(open_target(text)) is kind
    shown = {
        "s3://lab/runs/?endpoint=http://user:pw@h:1": "s3://lab/runs at http://h:1",
        "s3://lab": "s3://lab",
        "git+ssh://me@host:2222/a/b.git": "git+ssh://host:2222/a/b.git branch deduplab-runs",
        "git+https://me@host/b.git?branch=x&secret=env:NO": "git+https://host/b.git branch x",
        "git+file:///a/b.git": "/a/b.git branch deduplab-runs",
    }
    for text, words in shown.items():
        assert open_target(text).shown == words
    for text, words in (
        ("", "has no name"),
        ("ftp://host/x", "unknown kind of target 'ftp'"),
        ("s3:///x", "name a bucket"),
        ("s3://lab/x?access_key=lab", "needs secret"),
        ("s3://lab/x?key=1", "unknown option 'key'"),
        ("s3://lab:pass@host/x", "a password doesn't belong"),
        ("git+https://host/", "is written like"),
        ("git+file://host/x", "is written like"),
        ("git+ssh://host/x?branch=..", "not a usable name of a branch"),
        (str(tmp_path / "new.git"), "make it: git init --bare"),
        ("{run}/x.zip", "own name only"),
    ):
        with pytest.raises(PlanError, match=words):
            open_target(text)
