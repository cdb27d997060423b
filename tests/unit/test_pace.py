"""When operations are due: exactly, whatever was done before, and never early."""

from __future__ import annotations

import time

import numpy as np
import pytest

from deduplab.bench.pace import SPIN_NS, Pace, wait_until


def test_constant_arrivals_are_equally_far_apart() -> None:
    assert Pace(500, "constant", 0).take(3) == [0, 2_000_000, 4_000_000, 6_000_000]


def test_what_rounding_leaves_does_not_add_up() -> None:
    """At 3/s a gap is no whole number of nanoseconds."""
    pace = Pace(3, "constant", 0)
    total_ns = sum(pace.take(1)[-1] for _ in range(3_000))
    assert total_ns == 1_000_000_000_000


def test_batches_continue_one_schedule() -> None:
    whole, parts = Pace(7, "constant", 0).take(100), Pace(7, "constant", 0)
    joined = [0]
    for _ in range(4):
        at_ns = joined[-1]
        joined += [at_ns + due_ns for due_ns in parts.take(25)[1:]]
    assert joined == whole


def test_poisson_arrivals_have_exponential_gaps_and_a_seed() -> None:
    due_ns = Pace(1000, "poisson", 5).take(20_000)
    assert due_ns == Pace(1000, "poisson", 5).take(20_000)
    assert due_ns != Pace(1000, "poisson", 6).take(20_000)
    gaps_ns = np.diff(due_ns)
    assert due_ns[0] == 0
    assert gaps_ns.min() >= 0
    # The mean of an exponential distribution is its deviation; this seed is within 2 %.
    assert gaps_ns.mean() == pytest.approx(1e6, rel=0.02)
    assert gaps_ns.std() == pytest.approx(1e6, rel=0.02)


@pytest.mark.parametrize("ahead_ns", [-1_000_000, 0, 50_000, SPIN_NS + 300_000, 5_000_000])
def test_no_operation_begins_before_it_is_due(ahead_ns: int) -> None:
    for _ in range(20):
        due_ns = time.perf_counter_ns() + ahead_ns
        wait_until(due_ns)
        assert time.perf_counter_ns() >= due_ns
