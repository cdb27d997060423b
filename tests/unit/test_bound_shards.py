import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from deduplab.bound import forked
from deduplab.bound.results import Distances, ScanResult
from deduplab.bound.scan import ScanSettings, scan, scan_sources
from deduplab.bound.shards import Shards
from deduplab.bound.sketch import merge
from deduplab.bound.sources.files import FileSource
from deduplab.bound.stream import Block, Source
from deduplab.errors import DatasetError, OperationFailed, PlanError, SystemUnavailable
from tests.unit.bound_memory import MemorySource

RNG = np.random.default_rng(31)
POOL = RNG.bytes(400_000)
NO_DISTANCES = Distances(0, None, [])
OBJECTS = [POOL[start : start + length] for start, length in RNG.integers(0, 150_000, (40, 2))] * 2


def counts(result: ScanResult) -> object:
    """Return all but what depends on shards: distances, and the number of shards."""
    kept = result._asdict()
    del kept["shards"], kept["grains"], kept["streams"]
    streams = {
        name: [grain._replace(distances=NO_DISTANCES) for grain in stream.grains]
        for name, stream in result.streams.items()
    }
    return kept, streams


@dataclass
class Ending(MemorySource):
    """Ends its process, unless it is the one that runs the tests: that waits for the other."""

    marker: Path = Path()
    tests_process: int = field(default_factory=os.getpid)

    def shards(self, count: int) -> list[Source]:
        return [self, self]

    def blocks(self) -> Iterator[Block]:
        if os.getpid() != self.tests_process:
            self.marker.touch()
            os._exit(1)
        deadline = time.monotonic() + 60
        while not self.marker.exists():
            assert time.monotonic() < deadline, "no other process has begun"
            time.sleep(0.01)
        yield from super().blocks()


class Failing(MemorySource):
    """Is not there."""

    def blocks(self) -> Iterator[Block]:
        raise DatasetError("the table is gone")


@pytest.mark.parametrize("asked", [ScanSettings(), ScanSettings(sample=1 / 2)])
def test_processes_give_the_same_answer(asked: ScanSettings) -> None:
    sources = [MemorySource(OBJECTS, name="one"), MemorySource([*OBJECTS[:5], b"x"], name="two")]
    told: list[int] = []
    one = scan_sources(sources, asked).result()
    two = scan_sources(sources, asked, processes=2, progress=told.append).result()
    assert counts(two) == counts(one)
    assert sum(told) == one.logical_bytes
    assert two.shards > 2
    assert two.sources == ["one", "two"]


@pytest.mark.parametrize("forks", [True, False])
def test_files_give_the_same_answer_by_forked_processes_too(
    forks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, content in enumerate(OBJECTS):
        (tmp_path / str(number)).write_bytes(content)
    monkeypatch.setattr(forked, "can_fork", lambda _: forks)
    told: list[int] = []
    one = scan_sources([FileSource(str(tmp_path))], ScanSettings()).result()
    two = scan_sources(
        [FileSource(str(tmp_path))], ScanSettings(), processes=2, progress=told.append
    ).result()
    assert counts(two) == counts(one)
    assert sum(told) == one.logical_bytes


def test_a_process_with_many_open_files_forks_too(tmp_path: Path) -> None:
    for number, content in enumerate(OBJECTS):
        (tmp_path / str(number)).write_bytes(content)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(2048, limits[0]), limits[1]))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while opened[-1] <= 1024:
            opened.append(os.dup(opened[0]))
        two = scan_sources([FileSource(str(tmp_path))], ScanSettings(), processes=2)
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert two.result().objects == len(OBJECTS)


def test_processes_that_cannot_be_begun_are_a_sentence(tmp_path: Path) -> None:
    for number, content in enumerate(OBJECTS):
        (tmp_path / str(number)).write_bytes(content)
    source = FileSource(str(tmp_path))
    scan_sources([source], ScanSettings(), processes=2)  # which imports what it needs
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    # Room for what the first of them needs, and for a half of the second.
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 4, limits[1]))
    try:
        with pytest.raises(OperationFailed, match="can't be begun: Too many open files"):
            scan_sources([source], ScanSettings(), processes=8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    # The memory of the scan before may have gone meanwhile, but nothing may have come.
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= before


@pytest.mark.parametrize("sample", [None, 1 / 2])
def test_distances_are_those_within_each_shard(sample: float | None, tmp_path: Path) -> None:
    asked = ScanSettings(sample=sample, compress=False)
    for number, content in enumerate([*OBJECTS, POOL, POOL] * 2):
        (tmp_path / str(number)).write_bytes(content)
    source = FileSource(str(tmp_path))
    shards = Shards([source], 2)
    apart = merge([scan(shard, asked) for shard in shards.all])
    apart.sources = [source.name]
    together = scan_sources([source], asked, processes=2)
    assert together.result() == apart.result()
    assert sum(grain.distances.copies for grain in together.result().grains)


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_every_shard_is_looked_for_by_some_process(processes: int, tmp_path: Path) -> None:
    for number in range(400):
        (tmp_path / str(number)).write_bytes(b"x")
    shards = Shards([FileSource(str(tmp_path)), MemorySource([b"x"])], processes)
    places = list(range(len(shards.all)))
    orders = [shards.order(number) for number in range(processes)]
    assert sorted(set(orders[0])) == places
    firsts = [order[0] for order in orders]
    assert len(set(firsts)) == processes
    for order in orders[1:]:
        assert len(set(places) - set(order)) <= 1
    names = [path for shard in shards.all for path in blocks_of(shard)]
    assert len(names) == 401


def blocks_of(source: Source) -> list[bytes]:
    return [
        bytes(block.data[begin:end])
        for block in source.blocks()
        for begin, end in pairwise(block.offsets.tolist())
    ]


def test_forked_are_only_processes_that_can_go_on(tmp_path: Path) -> None:
    files = FileSource(str(tmp_path))
    assert not forked.can_fork([files, MemorySource([b"x"])])
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    assert not forked.can_fork([files])
    stop.set()
    other.join()
    assert forked.can_fork([files]) == (sys.platform == "linux" and threading.active_count() == 1)


def test_a_forked_process_that_ends_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forked, "can_fork", lambda _: sys.platform == "linux")
    with pytest.raises(OperationFailed, match="ended early"):
        scan_sources([Ending([b"x"], marker=tmp_path / "ends")], ScanSettings(), processes=2)


def test_a_process_that_ends_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed, match="ended early"):
        scan_sources([Ending([b"x"], marker=tmp_path / "ends")], ScanSettings(), processes=2)


@pytest.mark.parametrize("count", [1, 4])
def test_an_error_of_a_source_is_passed_on(count: int) -> None:
    with pytest.raises(DatasetError, match="the table is gone"):
        scan_sources([Failing([b"x"] * count)], ScanSettings(), processes=2)


@dataclass
class FailingThere(Ending):
    """Fails in another process while this one reads blocks without an end."""

    def blocks(self) -> Iterator[Block]:
        if os.getpid() != self.tests_process:
            raise DatasetError("the table is gone there")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            yield from MemorySource.blocks(self)


def test_an_error_of_another_process_ends_this_one() -> None:
    with pytest.raises(DatasetError, match="gone there"):
        scan_sources([FailingThere([b"x"])], ScanSettings(), processes=2)


def test_nothing_to_scan_is_refused() -> None:
    with pytest.raises(PlanError, match="at least one"):
        scan_sources([], ScanSettings(), processes=2)
    with pytest.raises(PlanError, match="0 processes"):
        scan_sources([MemorySource([b"x"])], ScanSettings(), processes=0)


@contextmanager
def cluster(directory: Path) -> Iterator[str]:
    """Bring up a scheduler and two workers, each a process of its own; yield its address."""
    pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    file = directory / "scheduler.json"
    common = ["--scheduler-file", str(file)]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    commands = [["dask_scheduler", "--port", "0", *common, *local]]
    commands += [["dask_worker", *common, *local, "--no-nanny", "--nthreads", "1"]] * 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *arguments],
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "DASK_TEMPORARY_DIRECTORY": str(directory),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for module, *arguments in commands
    ]
    try:
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline, "the scheduler did not come up"
            assert processes[0].poll() is None, "the scheduler has ended"
            time.sleep(0.05)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=30)


def test_a_cluster_gives_the_same_answer(tmp_path: Path) -> None:
    sources = [MemorySource(OBJECTS)]
    told: list[int] = []
    with cluster(tmp_path) as address:
        there = scan_sources(sources, ScanSettings(), dask=address, progress=told.append).result()
    here = scan_sources(sources, ScanSettings()).result()
    assert counts(there) == counts(here)
    assert sum(told) == here.logical_bytes


def test_a_cluster_that_is_not_there_is_an_error() -> None:
    pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    with pytest.raises(SystemUnavailable, match="no Dask scheduler"):
        scan_sources([MemorySource([b"x"])], ScanSettings(), dask="nonsense://x")
