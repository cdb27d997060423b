"""What benchmarks of servers share: an instance, data, rounds that alternate sides, the words."""

from __future__ import annotations

import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from deduplab.adapter import Adapter
from deduplab.batch import Batch
from deduplab.server import Endpoint, Server

AdapterT = TypeVar("AdapterT", bound=Adapter)
ServerT = TypeVar("ServerT", bound=Server)


@contextmanager
def instance(
    recipe: type[ServerT], adapter: AdapterT, namespace: str, *, variant: str, durability: str
) -> Iterator[tuple[ServerT, Endpoint, AdapterT, Path]]:
    """Bring a private server up with one namespace; also give a directory for scratch files."""
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-benchmark-"))
    server = recipe(workspace, variant=variant, durability=durability)
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create(namespace, layout="blob", variant=variant, durability=durability)
        yield server, endpoint, adapter, workspace
    finally:
        adapter.close()
        server.stop()
        shutil.rmtree(workspace)


def random_batch(count: int, payload_bytes: int) -> Batch:
    """Return random objects of one length, the same ones each time."""
    data = np.random.default_rng(7).bytes(count * payload_bytes)
    offsets = np.arange(count + 1, dtype=np.int64) * payload_bytes
    return Batch([f"o{index:011d}" for index in range(count)], memoryview(data), offsets)


def parts_of(whole: Batch, batch_bytes: int) -> list[Batch]:
    """Return a batch in batches of about so many bytes, which share its memory."""
    count = len(whole)
    step = max(1, batch_bytes * count // max(1, whole.logical_bytes))
    bounds = [(start, min(start + step, count)) for start in range(0, count, step)]
    made = [Batch(whole.keys[a:b], whole.data, whole.offsets[a : b + 1]) for a, b in bounds]
    for batch in made:
        batch.payloads  # noqa: B018  (the bench makes them before the clock starts, too)
    return made


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def puts_per_s(put: Callable[[str, bytes], object], payload: bytes, at_least_s: float) -> float:
    """Return how many objects a second are put, under keys that count up from 0."""
    keys = (f"{number:012d}" for number in itertools.count())
    count = 0
    begin = time.perf_counter()
    while (spent := time.perf_counter() - begin) < at_least_s:
        for key in itertools.islice(keys, 20):
            put(key, payload)
        count += 20
    return count / spent


@dataclass(slots=True)
class Pairs:
    """What both sides took, round by round; ``starts_s`` is what their process takes to begin."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)

    @property
    def start_s(self) -> float:
        """The median time until the other side's process has begun and logged in."""
        return statistics.median(self.starts_s) if self.starts_s else 0.0


def paired(
    ours: Callable[[], float],
    theirs: Callable[[], float],
    rounds: int,
    *,
    before: Callable[[], object],
    after: Callable[[], object] = lambda: None,
    start: Callable[[], object] | None = None,
) -> Pairs:
    """Run both sides in turns, the other one first every second time.

    The first round warms caches and files up and is not counted.

    Parameters
    ----------
    ours, theirs
        Do the work and return seconds, or a rate.
    before, after
        What is done around each, outside the clock: emptying, and proving what was stored.
    start
        Starts the other side's process for nothing, which is timed.
    """
    found = Pairs()
    for number in range(rounds + 1):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            before()
            took = side()
            after()
            if number:
                (found.ours if side is ours else found.theirs).append(took)
        if start is not None and number:
            found.starts_s.append(seconds(start))
    return found


def tell_bulk(payload_bytes: int, total_bytes: int, tool: str, found: Pairs) -> None:
    """Print rates and ratios of loads that took so many seconds."""
    pairs = list(zip(found.ours, found.theirs, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    our_rate, their_rate = (
        total_bytes / 1e6 / statistics.median(side) for side in (found.ours, found.theirs)
    )
    words = (
        f"bulk {payload_bytes:>6} B: put_many {our_rate:6.1f} MB/s, {tool} {their_rate:6.1f} MB/s; "
        f"ratio {ratio:.2f} x"
    )
    if found.starts_s:
        net = statistics.median((theirs - found.start_s) / ours for ours, theirs in pairs)
        words += f", without its start ({found.start_s * 1e3:.0f} ms) {net:.2f} x"
    print(words, flush=True)


def tell_insert(payload_bytes: int, tool: str, found: Pairs) -> None:
    """Print the ratio of rates, objects a second."""
    ratio = statistics.median(o / t for o, t in zip(found.ours, found.theirs, strict=True))
    print(
        f"insert {payload_bytes:>5} B: put {statistics.median(found.ours):6.0f} /s, "
        f"{tool} {statistics.median(found.theirs):6.0f} /s; ratio {ratio:.2f} x",
        flush=True,
    )
