"""Open loops, by a clock that the test moves: what waits behind a stall, to the nanosecond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from deduplab.analysis.operations import Operations
from deduplab.bench.clock import Timing
from deduplab.bench.open_loop import OpenTiming, timing_of
from deduplab.bench.pace import Pace
from deduplab.model import READS, Stage
from tests.report import factory

MS = 1_000_000
RATE = 200  # one every 5 ms
GAP = 5 * MS
SERVICE = 1 * MS


@dataclass
class World:
    """A clock that stands still unless something takes time, and a system that takes it."""

    at_ns: int = 1_000
    stalls_ns: dict[int, int] | None = None
    done: int = 0

    def now(self) -> int:
        return self.at_ns

    def wait_until(self, due_ns: int) -> None:
        self.at_ns = max(self.at_ns, due_ns)

    def put(self, key: str, payload: object) -> None:
        self.at_ns += (self.stalls_ns or {}).get(self.done, SERVICE)
        self.done += 1

    def delete(self, keys: Sequence[str]) -> int:
        self.at_ns += SERVICE * len(keys)
        return len(keys)

    def timing(self, rate: float = RATE) -> OpenTiming:
        pace = Pace(rate, "constant", 0)
        return OpenTiming(pace=pace, now=self.now, wait_until=self.wait_until)


def put(timing: Timing, world: World, count: int) -> None:
    timing.each_put(world.put, [str(number) for number in range(count)], [b""] * count)


def latencies_behind_a_stall(at: int, stall_ns: int, count: int) -> list[int]:
    """Work out by hand: each that is due meanwhile waits for the rest of it, and for the others."""
    found = []
    free_ns = 0
    for number in range(count):
        due_ns = number * GAP
        free_ns = max(due_ns, free_ns) + (stall_ns if number == at else SERVICE)
        found.append(free_ns - due_ns)
    return found


def test_what_is_due_during_a_stall_waits_for_it() -> None:
    world = World(stalls_ns={10: 100 * MS})
    timing = world.timing()
    put(timing, world, 100)
    assert timing.latencies_ns == latencies_behind_a_stall(10, 100 * MS, 100)
    # The first few by hand: 5 ms later each, 1 ms of service each, so 4 ms less every time.
    assert timing.latencies_ns[9:14] == [1 * MS, 100 * MS, 96 * MS, 92 * MS, 88 * MS]
    late = [latency for latency in timing.latencies_ns if latency > SERVICE]
    assert len(late) == 1 + 24  # (100 - 1) / 4 of those behind it, rounded down
    assert timing.service_ns == [SERVICE] * 10 + [100 * MS] + [SERVICE] * 89
    assert timing.late_ns == 0
    assert timing.duration_ns == 100 * GAP
    assert timing.acknowledged == 100


def test_a_closed_loop_shows_one_slow_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    world, timing = World(stalls_ns={10: 100 * MS}), Timing()
    monkeypatch.setattr("deduplab.bench.clock.time.perf_counter_ns", world.now)
    put(timing, world, 100)
    assert timing.latencies_ns == [SERVICE] * 10 + [100 * MS] + [SERVICE] * 89


def test_a_queue_goes_along_over_a_pause_in_which_nothing_is_timed() -> None:
    """Payloads are made between batches: the schedule stands still, and forgets nothing."""
    whole, parts = World(stalls_ns={10: 100 * MS}), World(stalls_ns={10: 100 * MS})
    at_once, in_batches = whole.timing(), parts.timing()
    put(at_once, whole, 100)
    for _ in range(25):
        put(in_batches, parts, 4)
        parts.at_ns += 37 * MS
    assert in_batches.latencies_ns == at_once.latencies_ns
    assert in_batches.service_ns == at_once.service_ns
    assert in_batches.duration_ns == at_once.duration_ns


def test_the_attained_rate_is_never_above_what_was_offered() -> None:
    world = World()
    timing = world.timing()
    put(timing, world, 3)
    assert timing.acknowledged / (timing.duration_ns / 1e9) == RATE


def test_a_system_that_is_too_slow_is_later_each_time() -> None:
    world = World(stalls_ns=dict.fromkeys(range(50), 8 * MS))
    timing = world.timing()
    put(timing, world, 50)
    assert timing.latencies_ns == [8 * MS + 3 * MS * number for number in range(50)]
    assert timing.duration_ns == 50 * 8 * MS
    assert timing.late_ns == 50 * 3 * MS
    latency, service = timing.raw_ns()
    assert operations(latency, service).saturated == (True,)
    assert operations(latency, service).words.startswith("saturated: it did not keep up with 200/s")


@pytest.mark.parametrize(("at", "stall_ns"), [(0, 100), (10, 400), (90, 300), (150, 300)])
def test_a_stall_is_no_saturation(at: int, stall_ns: int) -> None:
    """The queue behind it empties, or there was none before it came."""
    world = World(stalls_ns={at: stall_ns * MS})
    timing = world.timing()
    put(timing, world, 200)
    found = operations(*timing.raw_ns())
    assert found.saturated == (False,)
    assert found.words == ""
    assert timing.duration_ns == 200 * GAP + timing.late_ns


def test_a_stall_whose_queue_has_not_emptied_in_the_end_is_a_backlog() -> None:
    """A second of schedule, 0.9 s of stall: the last one is late, and each was less than before."""
    world = World(stalls_ns={0: 900 * MS})
    timing = world.timing()
    put(timing, world, 200)
    latency, service = timing.raw_ns()
    assert operations(latency, service).saturated == (False,)
    assert latency[-1] - service[-1] == 900 * MS - 5 * MS - 198 * 4 * MS
    assert timing.late_ns == 900 * MS - 5 * MS - 199 * 4 * MS


@pytest.mark.parametrize("rate", [250, 500, 800])
def test_poisson_arrivals_wait_as_the_theory_of_queues_says(rate: int) -> None:
    """One server, a fixed service time D, load p (M/D/1): p D / (2 (1 - p)) is the mean wait.

    Pollaczek and Khinchine; this seed is within 5 % over 100 000 operations.
    """
    world = World()
    pace = Pace(rate, "poisson", 8)
    timing = OpenTiming(pace=pace, now=world.now, wait_until=world.wait_until)
    put(timing, world, 100_000)
    latency_ns, service_ns = timing.raw_ns()
    load = rate * SERVICE / 1e9
    expected_ns = load * SERVICE / (2 * (1 - load))
    assert (latency_ns - service_ns).mean() == pytest.approx(expected_ns, rel=0.05)
    assert operations(latency_ns, service_ns, rate).saturated == (False,)


def test_deletions_are_one_key_a_request_at_their_time() -> None:
    world = World()
    timing = world.timing()
    timing.delete(world.delete, ["a", "b", "c"])
    assert timing.latencies_ns == [SERVICE] * 3
    assert timing.acknowledged == 3
    assert timing.duration_ns == 3 * GAP


def test_an_operation_that_fails_is_raised_with_the_clock_left_in_order() -> None:
    def fails(key: str, payload: object) -> None:
        raise OSError("refused")

    timing = World().timing()
    with pytest.raises(OSError, match="refused"):
        timing.each_put(fails, ["a"], [b""])
    assert timing.latencies_ns == []
    assert timing.acknowledged == 0


def test_some_stages_alone_keep_a_rate() -> None:
    cell = factory.cell_of(factory.PLAIN, "random_binary", 0, "none")
    assert type(timing_of(cell, Stage.INSERT, "", 1)) is Timing
    paced = replace(cell, rate_per_s=float(RATE))
    open_ones = {
        (stage, mode)
        for stage in Stage
        for mode in ("", "rowwise", "truncate")
        if timing_of(paced, stage, mode, 0).rate_per_s == RATE
    }
    reads = {
        (stage, mode) for stage in (Stage.INSERT, *READS) for mode in ("", "rowwise", "truncate")
    }
    assert open_ones == {*reads, (Stage.DELETE, "rowwise")}


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_several_clients_have_the_schedule_of_one(arrivals: str) -> None:
    cell = factory.cell_of(factory.PLAIN, "random_binary", 0, "none")
    one = timing_of(replace(cell, rate_per_s=200.0, arrivals=arrivals), Stage.INSERT, "", 1)
    four = timing_of(
        replace(cell, rate_per_s=200.0, arrivals=arrivals, clients=4), Stage.INSERT, "", 1
    )
    assert isinstance(one, OpenTiming)
    assert isinstance(four, OpenTiming)
    due_ns = one.pace.take(50)
    assert four.pace.take(50) == due_ns
    if arrivals == "poisson":
        assert len(set(np.diff(due_ns))) > 40


def operations(latency: Sequence[int], service: Sequence[int], rate: float = RATE) -> Operations:
    return Operations((np.asarray(latency),), (np.asarray(service),), rate, "")
