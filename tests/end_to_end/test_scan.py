from __future__ import annotations

import csv
import errno
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deduplab import dataset_file
from deduplab.bound.grains import ALL_GRAINS
from deduplab.bound.sources.files import FileSource
from tests.scan_call import Scan, scanning

KIB = 1024


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Scan]:
    with scanning(monkeypatch, capfd) as call:
        yield call


def payloads(seed: int = 7) -> list[bytes]:
    """Eight payloads of 20 KiB; three are there twice, one four times."""
    generator = random.Random(seed)
    distinct = [generator.randbytes(20 * KIB) for _ in range(8)]
    return [*distinct, distinct[0], distinct[1], distinct[2], distinct[3], distinct[3], distinct[3]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    found.mkdir()
    for number, payload in enumerate(payloads()):
        (found / f"{number:02d}").write_bytes(payload)
    return found


def state_of(folder: Path) -> list[tuple[str, int, int, bytes]]:
    return [
        (path.name, path.stat().st_mtime_ns, path.stat().st_size, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


# The shape of the answer


def test_every_grain_of_a_folder_as_json(folder: Path, scan: Scan) -> None:
    done = scan(folder, "--json")
    assert done.code == 0, done.err
    assert [grain["grain"] for grain in done.document["grains"]] == list(ALL_GRAINS)
    whole = done.grain("whole")
    assert (whole["kind"], whole["size_bytes"]) == ("whole", None)
    assert whole["logical_bytes"] == 14 * 20 * KIB
    assert whole["unique_bytes"] == 8 * 20 * KIB
    assert whole["ratio"] == 14 / 8
    assert whole["copies"] == [[1, 4], [2, 3], [4, 1]]
    assert whole["error"] is None
    assert whole["distances"]["copies"] == 6
    assert whole["distances"]["found_within"][-1][1] == 1.0
    assert {one["codec"] for one in whole["compression"]} == {"zstd-1", "zstd-3", "lz4"}
    fixed = done.grain("fixed-8192")
    assert (fixed["kind"], fixed["size_bytes"]) == ("fixed", 8192)
    assert fixed["unique_bytes"] == 8 * 20 * KIB
    assert done.grain("cdc-4096")["kind"] == "content-defined"
    assert done.document["complete"] is True


def test_a_plan_takes_its_multiplicity_from_a_scan(
    folder: Path, scan: Scan, tmp_path: Path
) -> None:
    (tmp_path / "scan.json").write_text(scan(folder, "--json", "--grain", "whole").out)
    specification = tmp_path / "dataset.toml"
    specification.write_text(
        'payload = "random_binary"\nlogical_size = "1400 KiB"\nobject_size = "100 KiB"\n'
        'grade = "U50"\nmultiplicity = "scan.json"\n'
    )
    assert dataset_file.load(specification).multiplicity == ((1, 4), (2, 3), (4, 1))


def test_the_table_names_each_grain_and_the_copies(folder: Path, scan: Scan) -> None:
    done = scan(folder)
    assert done.code == 0
    for name in ALL_GRAINS:
        assert name in done.out
    assert "1.75x" in done.out
    assert "4 1x, 3 2x, 1 4x" in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    assert "memory" in done.err


def test_it_never_writes_to_what_it_scans(folder: Path, scan: Scan) -> None:
    before, entries = state_of(folder), os.listdir(folder)  # noqa: PTH208
    assert scan(folder, "-j", "2").code == 0
    assert scan("--on-disk", folder).code == 0
    assert (state_of(folder), os.listdir(folder)) == (before, entries)  # noqa: PTH208


# Sources


def test_an_archive_has_the_same_answer_as_its_files(
    folder: Path, scan: Scan, tmp_path: Path
) -> None:
    archive = tmp_path / "data.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "data")
    assert scan(archive, "--json").document["grains"] == scan(folder, "--json").document["grains"]


def test_standard_input_is_one_object(scan: Scan, tmp_path: Path, monkeypatch: Any) -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"".join(payloads())))
    monkeypatch.setattr(sys, "stdin", stream)
    done = scan("-", "--json", "--grain", "whole", "--grain", "fixed-4096")
    assert done.document["objects"] == 1
    assert done.grain("whole")["ratio"] == 1.0
    assert done.grain("fixed-4096")["ratio"] == 14 / 8


def write_csv(path: Path, rows: int = 4000) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "kind"])
        for number in range(rows):
            writer.writerow([f"{number:08d}", f"kind {number % 4} of some things that are alike"])
    return path


def test_a_table_is_scanned_by_row_and_column(scan: Scan, tmp_path: Path) -> None:
    done = scan(write_csv(tmp_path / "t.csv"), "--json")
    assert done.grain("whole")["ratio"] == 1.0
    columns = done.document["columns"]
    assert list(columns) == ["id", "kind"]
    ratios = {name: column["grains"][0]["ratio"] for name, column in columns.items()}
    assert ratios == {"id": 1.0, "kind": 1000.0}
    assert done.document["all_columns"]["logical_bytes"] == sum(
        column["logical_bytes"] for column in columns.values()
    )


def test_orders_of_rows_are_compared_in_pages(scan: Scan, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", rows=20_000)
    orders = ("--order", "natural", "--order", "shuffled", "--order", "sorted:kind")
    done = scan(table, *orders, "--pages", "8 KiB", "--json")
    assert list(done.document["orders"]) == ["natural", "shuffled", "sorted:kind"]
    packed = {
        order: {column["name"]: column["packed_ratio"] for column in columns}["kind"]
        for order, columns in done.document["orders"].items()
    }
    assert packed["shuffled"] < packed["natural"] < packed["sorted:kind"]
    assert "pages of columns by the order of rows" in scan(table, *orders).out


def test_a_database_by_table_and_by_query(scan: Scan, tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE events (id INTEGER, kind TEXT)")
        database.executemany(
            "INSERT INTO events VALUES (?, ?)", [(n, f"kind {n % 5}") for n in range(100)]
        )
    database.close()
    by_table = scan(path, "--table", "events", "--json")
    assert by_table.document["columns"]["kind"]["grains"][0]["ratio"] == 20.0
    by_query = scan(path, "--query", "SELECT kind FROM events WHERE id < 10", "--json")
    assert by_query.document["objects"] == 10
    missing = scan(path, "--table", "event")
    assert missing.code == 2
    assert "did you mean 'events'" in missing.err


# Exact, sampled, in parts


def test_processes_have_the_same_answer(folder: Path, scan: Scan) -> None:
    one, two = scan(folder, "--json"), scan(folder, "-j", "2", "--json")
    for grain in ALL_GRAINS:
        for key in ("unique_bytes", "chunks", "copies", "ratio"):
            assert one.grain(grain)[key] == two.grain(grain)[key]


@pytest.mark.parametrize("processes", [1, 3])
def test_no_memory_is_a_sentence(tmp_path: Path, processes: int) -> None:
    for number in range(8):
        (tmp_path / str(number)).write_bytes(random.Random(number).randbytes(2_000_000))
    # The limit comes when all is imported that a scan needs.
    program = (
        "import resource, sys\n"
        "import psutil\n"
        "from deduplab.bound.scan import ScanSettings, scan_sources\n"
        "from deduplab.bound.sources.files import FileSource\n"
        "from deduplab.cli import scan_command\n"
        "from deduplab.cli.main import main\n"
        "scan_sources([FileSource(sys.argv[2] + '/0')], ScanSettings()).result()\n"
        "most = psutil.Process().memory_info().vms + (1 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "main()\n"
    )
    arguments = ["scan", str(tmp_path), "-j", str(processes)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (7, ""), done.stderr
    assert "there is no memory for what is to be counted" in done.stderr
    assert "Traceback" not in done.stderr


def test_copies_in_different_parts_have_no_distance(scan: Scan, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"the same")
    assert "all within 0 B" in scan(tmp_path).out
    assert "not known: copies lie in different parts" in scan(tmp_path, "-j", "2").out
    (tmp_path / "b").write_bytes(b"not so")
    assert "no copies" in scan(tmp_path, "-j", "2").out


def test_a_sample_says_its_error(folder: Path, scan: Scan) -> None:
    done = scan(folder, "--sample", "1/4", "--json")
    error = done.grain("fixed-4096")["error"]
    assert error["p"] == 0.25
    assert error["relative_standard_error"] > 0
    assert done.document["sampled"] is True
    assert "±" in scan(folder, "--sample", "1/4").out


@pytest.mark.parametrize("more", [(), ("--sample", "1/4")])
def test_no_figure_is_cut_on_a_narrow_terminal(
    more: tuple[str, ...], folder: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = scan(folder, *more)
    assert "…" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_merged_sketches_are_one_scan(folder: Path, scan: Scan, tmp_path: Path) -> None:
    halves = [tmp_path / "a", tmp_path / "b"]
    for place, path in enumerate(sorted(folder.iterdir())):
        half = halves[place % 2]
        half.mkdir(exist_ok=True)
        (half / path.name).write_bytes(path.read_bytes())
    for half in halves:
        assert scan(half, "--sketch", half.with_suffix(".sketch")).code == 0
    merged = scan("--merge", *(half.with_suffix(".sketch") for half in halves), "--json")
    at_once = scan(folder, "--json")
    for grain in ALL_GRAINS:
        for key in ("unique_bytes", "chunks", "copies", "ratio", "sizes"):
            assert merged.grain(grain)[key] == at_once.grain(grain)[key]
    assert merged.document["shards"] == 2


def test_two_data_sets_are_compared(folder: Path, scan: Scan, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "known").write_bytes(payloads()[0])
    (other / "new").write_bytes(payloads(seed=8)[0])
    sketch = tmp_path / "a.sketch"
    scan(folder, "--sketch", sketch)
    done = scan("--compare", sketch, other, "--json")
    assert done.code == 0, done.err
    shared = {one["grain"]: one for one in done.document["streams"][""]}["whole"]
    assert shared["shared_bytes"] == 20 * KIB
    assert shared["second_unique_bytes"] == 40 * KIB
    assert "50.0%" in scan("--compare", sketch, other).out


# What lies on the disk

SPECIFICATION = """\
payload = "random_binary"
logical_size = "400 KiB"
object_size = "10 KiB"
grade = "U50"
distance = "shuffled"
"""


@pytest.fixture
def specification(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.toml"
    path.write_text(SPECIFICATION)
    return path


def test_physical_copies_are_counted_across_pages(
    scan: Scan, specification: Path, tmp_path: Path
) -> None:
    from deduplab.datasets import build_dataset

    dataset = build_dataset(dataset_file.load(specification))
    objects = [payload for batch in dataset.batches(1 << 20) for payload in batch.payloads]
    store = tmp_path / "store"
    store.mkdir()
    # Pages of 8 KiB, each with a header of its own; nothing begins at a page.
    stream = b"x" * 777 + b"".join(objects)
    pages = [
        number.to_bytes(24, "little") + stream[at : at + 8168]
        for number, at in enumerate(range(0, len(stream), 8168))
    ]
    (store / "heap").write_bytes(b"".join(pages))
    done = scan("--on-disk", store, "--planted", specification, "--json")
    assert done.code == 0, done.err
    planted = done.document["on_disk"]["planted"]
    assert planted["payloads"] == len(set(objects))
    assert planted["planted"] == planted["found"] == len(objects)
    assert done.document["on_disk"]["apparent_bytes"] == len(b"".join(pages))


def test_a_compressed_copy_is_not_seen(scan: Scan, specification: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    from deduplab.datasets import build_dataset, export

    export.write(build_dataset(dataset_file.load(specification)), made, lambda count: None)
    store = tmp_path / "store"
    store.mkdir()
    (store / "turned").write_bytes(
        b"".join(path.read_bytes()[::-1] for path in sorted((made / "objects").rglob("*.bin")))
    )
    done = scan("--on-disk", store, "--planted", made)
    assert done.code == 0, done.err
    assert "are there 0 times" in done.out


def test_a_name_that_is_no_text_is_no_obstacle(folder: Path, scan: Scan, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff[b]")
    folder.rename(odd)
    done = scan(odd, "--html", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert r"odd\xff[b]" in done.out
    assert r"odd\xff[b]" in (tmp_path / "page.html").read_text()


def test_names_of_columns_steer_no_terminal(scan: Scan, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b'\\[/x],[bold]b[/bold],\x1b[31mred,"n\nl",end\\\n1,2,3,4,5\n1,2\n')
    done = scan(table, "--grain", "whole", "--no-compress", "--allow-left-out")
    assert done.code == 0, done.err
    for name in (r"\[/x]", "[bold]b[/bold]", r"\x1b[31mred", r"n\nl", "end\\"):
        assert name in done.out
    assert "\x1b" not in done.out


# Errors, each with a sentence and a code


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name a source"),
        (("nowhere",), 2, "'nowhere' can't be read"),
        (("--merge",), 2, "--merge needs sketches"),
        (("{folder}", "--grain", "cdc-4095"), 2, "did you mean 'cdc-4096'"),
        (("{folder}", "--sample", "1/3"), 2, "power of two"),
        (("{folder}", "--sample", "few"), 2, "write it like 1/64"),
        (("{folder}", "--sample", "1/4", "--exact"), 2, "exclude each other"),
        (("{folder}", "--table", "t"), 2, "has no meaning for this kind of source"),
        (("{folder}", "--planted", "x"), 2, "--planted has no meaning with SOURCE"),
        (("--on-disk", "{folder}", "--table", "t"), 2, "--table has no meaning with --on-disk"),
        (("--merge", "a", "--grain", "cdc"), 2, "--grain has no meaning with --merge"),
        (("-", "--order", "natural", "--order", "shuffled"), 2, "order has no meaning"),
        (("{folder}", "--order", "shuffled", "--order", "shuffled"), 2, "an order twice"),
        (("--on-disk", "{folder}", "--planted", "x", "-j", "2"), 2, "by one process"),
        (("{folder}", "--on-disk", "{folder}"), 2, "exclude each other"),
        (("--on-disk", "nowhere"), 2, "is not a directory"),
        (("--on-disk", "{folder}", "--planted", "nowhere"), 2, "data make"),
        (("--on-disk", "{folder}", "--planted", "{folder}"), 9, "no manifest.json"),
        (("{folder}", "--html", "no/such/page.html"), 2, "there is no folder"),
        (("{folder}", "--html", "{folder}/page.html"), 2, "never written to"),
        (("{folder}/00", "--sketch", "{folder}/00"), 2, "never written to"),
        (("--on-disk", "{folder}", "--html", "{folder}/p.html"), 2, "never written to"),
        (("--merge", "{folder}/00"), 5, "not a sketch"),
        (("{folder}", "{folder}/../data"), 2, "is named twice"),
        (("{folder}", "{folder}/00"), 2, "lies in"),
        (("-", "-"), 2, "is named twice"),
        (("--compare", "-", "-"), 2, "only once"),
        (("--merge", "a.sketch", "./a.sketch"), 2, "is named twice"),
        (("--merge", "a", "-j", "2"), 2, "-j has no meaning with --merge"),
        (("--merge", "a", "--exact"), 2, "--exact has no meaning with --merge"),
        (("--merge", "a", "--no-compress"), 2, "--no-compress has no meaning with --merge"),
        (("{folder}", "--dask", "tcp://127.0.0.1:1", "-j", "2"), 2, "-j has no meaning"),
        (("-", "--format", "csv"), 2, "only a file can be read as 'csv'"),
        (("s3://bucket/", "--format", "csv"), 2, "only a file can be read as 'csv'"),
        (("{folder}", "--pages", "0"), 2, "hold no values"),
        (("--on-disk", ""), 2, "the name is empty"),
        (("{folder}", "--html", ""), 2, "the name is empty"),
        (("{folder}", "--html", "."), 2, "is a folder"),
        (("{folder}", "--sketch", "."), 2, "is a folder"),
        (("{folder}", "--sketch", "pipe"), 2, "no regular file"),
        (("{folder}", "--sketch", "both", "--html", "./both"), 2, "the same file"),
        (("gone",), 2, "a link to something that is not there"),
        (("ftp://host/x",), 2, "unknown kind of source 'ftp'"),
        (("postgresql://u:geheim@127.0.0.1/x",), 2, "a password doesn't belong"),
        (("postgresql://u@127.0.0.1:1/x",), 3, "can't be reached"),
    ],
)
def test_wrong_input_ends_in_a_sentence(
    arguments: tuple[str, ...], code: int, said: str, folder: Path, scan: Scan, monkeypatch: Any
) -> None:
    monkeypatch.chdir(folder.parent)
    os.mkfifo("pipe")
    Path("gone").symlink_to("nowhere")
    done = scan(*(argument.format(folder=folder) for argument in arguments))
    assert (done.code, done.out) == (code, ""), done.err
    assert said in done.err
    assert "geheim" not in done.err
    assert "Traceback" not in done.err


def test_a_broken_archive_is_counted_as_left_out(folder: Path, scan: Scan, tmp_path: Path) -> None:
    archive = tmp_path / "data.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, "data")
    archive.write_bytes(archive.read_bytes()[: 100 * KIB])
    done = scan(archive, "--json")
    assert done.code == 9
    assert done.document["complete"] is False
    assert done.document["left_out"]
    assert "could not be read" in done.err
    assert "could not be read" in scan(archive).out
    allowed = scan(archive, "--allow-left-out", "--json")
    assert (allowed.code, allowed.document["complete"]) == (0, False)


def test_a_link_passed_over_is_said_and_is_no_failure(folder: Path, scan: Scan) -> None:
    (folder / "link").symlink_to(folder / "00")
    done = scan(folder, "--json")
    assert done.code == 0
    assert done.document["complete"] is True
    (left_out,) = done.document["left_out"]
    assert left_out["by_design"] is True
    assert "passed over" in scan(folder).out


def test_a_source_that_is_not_whole_is_not_compared(
    folder: Path, scan: Scan, tmp_path: Path
) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"a": 1}\nnot json\n')
    refused = scan("--compare", table, table)
    assert refused.code == 9
    assert "not compared" in refused.err


RUN = """
name = "disk"
repetitions = 1
stages = ["bulk"]
on_disk = {on_disk}
[data]
payloads = ["random_binary"]
grades = ["U50"]
logical_size = "4 MiB"
object_size = "8 KiB"
[rest]
window_s = 0.02
[systems.plain]
[systems.single_instance]
"""


@pytest.mark.parametrize("on_disk", ["true", "false"])
def test_a_run_tells_what_its_files_held(scan: Scan, tmp_path: Path, on_disk: str) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(RUN.format(on_disk=on_disk))
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "deduplab", "run", str(plan), "--runs", str(runs)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (run,) = (path for path in runs.iterdir() if (path / "run.json").is_file())
    found = scan("--on-disk", run, "--json")
    if on_disk == "false":
        assert found.code == 2
        assert "set 'on_disk = true' in the plan" in found.err
        return
    values = {(row["system"], row["metric"]): row["value"] for row in json.loads(found.out)}
    # Every copy is there, and found by a volume; or half of the objects share their payloads.
    assert values["plain", "copies_on_disk"] == 1
    assert values["plain", "on_disk_ratio:fixed-4096"] > 1.9
    assert values["single_instance", "copies_on_disk"] == 0.5
    assert values["single_instance", "on_disk_ratio:fixed-4096"] < 1.4
    assert "single_instance" in scan("--on-disk", run).out


@pytest.mark.parametrize("way", ["SOURCE", "--compare", "--on-disk"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_scan_says_so(
    folder: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, way: str, number: signal.Signals
) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        if number == signal.SIGINT:  # which a job in the background ignores
            raise KeyboardInterrupt
        signal.raise_signal(number)

    monkeypatch.setattr(FileSource, "blocks", interrupted)
    arguments = {
        "SOURCE": (folder,),
        "--compare": (way, folder, folder),
        "--on-disk": (way, folder),
    }
    done = scan(*arguments[way])
    assert done.code == 130
    assert "nothing was written, so scan again" in done.err


def test_a_run_is_asked_for_nothing_that_it_does_not_know(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    for option in (("--html", "page.html"), ("--grain", "whole"), ("-j", "2")):
        done = scan("--on-disk", tmp_path, *option)
        assert (done.code, done.out) == (2, "")
        assert "has no meaning with the --on-disk of a run" in done.err


def test_a_place_that_may_not_be_written_is_said_before_reading(
    folder: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    for option in ("--html", "--sketch"):
        done = scan(folder, option, folder.parent / "new")
        assert (done.code, done.out) == (2, "")
        assert "can't be written: permission denied" in done.err
        assert "memory" not in done.err
    read_only = os.statvfs_result((4096, 4096, 1, 0, 0, 1, 0, 0, os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    done = scan(folder, "--html", folder.parent / "new")
    assert "can't be written: its file system is mounted read-only" in done.err


def test_what_can_not_be_kept_is_shown_still(
    folder: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = scan(folder, "--sketch", folder.parent / "s", "--html", folder.parent / "p", "--json")
    assert done.code == 5
    assert done.grain("whole")["ratio"] == 14 / 8
    assert "No space left on device" in done.err
    assert not (folder.parent / "s").exists()


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_figures_that_can_not_be_printed(folder: Path, more: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "deduplab", "scan", str(folder), *more]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 4
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr.count("\n") == 1  # what is said of memory


def test_processes_are_those_that_had_something_to_read(folder: Path, scan: Scan) -> None:
    assert scan(folder / "00", "-j", "8", "--json").document["processes"] == 1
    assert scan(folder, "-j", "2", "--json").document["processes"] == 2


def test_hard_links_are_no_copies_wherever_they_lie(folder: Path, scan: Scan) -> None:
    later = folder.parent / "later"
    later.mkdir()
    for path in folder.iterdir():
        os.link(path, later / path.name)
    for more in ((), ("-j", "2")):
        assert scan(folder, later, "--json", *more).grain("whole")["ratio"] == 14 / 8


def test_names_steer_no_terminal(folder: Path, scan: Scan, tmp_path: Path) -> None:
    odd = tmp_path / "odd\\[bold]\x1b[31m\nname"
    folder.rename(odd)
    (odd / "\x1b[2J[red]\u202elink").symlink_to("nowhere")
    for done in (scan(odd), scan("--compare", odd, odd)):
        assert done.code == 0, done.err
        assert r"odd\[bold]\x1b[31m\nname" in done.out
        assert "\x1b" not in done.out
    assert r"\x1b[2J[red]\u202elink: a symbolic link" in scan(odd).out
    table = tmp_path / "t.csv"
    table.write_bytes(b"x\\[a],\x1b[1mb\n1,2\n")
    found = scan(table).out
    assert r"x\[a]" in found
    assert r"\x1b[1mb" in found


def test_a_sample_of_few_chunks_is_no_proof(folder: Path, scan: Scan, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    few = scan(folder, "--sample", "1/2", "--grain", "whole", "--html", page)
    assert "few chunks are in the sample at whole" in few.out
    assert "Few chunks are in the sample at whole" in page.read_text()
    # As all are in it, however few they are.
    assert "few chunks" not in scan(folder, "--sample", "1/1", "--grain", "whole").out
    (tmp_path / "long").write_bytes(random.Random(1).randbytes(400 * 4 * KIB))
    assert (
        "few chunks" not in scan(tmp_path / "long", "--sample", "1/2", "--grain", "fixed-4096").out
    )
