import itertools
from collections.abc import Iterator

from deduplab.bench.rest import wait_for_rest
from deduplab.cell import RestSettings

QUICK = RestSettings(window_s=0.05, interval_s=0.005, deadline_s=0.5)


def falling(values: list[int]) -> Iterator[int]:
    return itertools.chain(values, itertools.repeat(values[-1]))


def test_a_quiet_system_is_at_rest_after_two_equal_sizes() -> None:
    sizes = falling([100, 90, 80])
    rest = wait_for_rest(lambda: next(sizes), dict, QUICK, background_work=False)
    assert rest.settled
    assert [size for _, size in rest.curve] == [100, 90, 80, 80]


def test_background_work_must_stay_idle_and_unchanged_through_the_window() -> None:
    sizes = falling([100] * 3 + [50])
    busy = itertools.chain([1] * 6, itertools.repeat(0))
    rest = wait_for_rest(
        lambda: next(sizes), lambda: {"merges": next(busy)}, QUICK, background_work=True
    )
    assert rest.settled
    assert rest.waited_ns >= 0.05e9
    assert rest.curve[0][1] == 100
    assert rest.curve[-1][1] == 50
    assert not rest.busy


def test_a_system_that_never_rests_is_censored_with_its_curve_and_what_was_busy() -> None:
    sizes = itertools.count(1)
    rest = wait_for_rest(
        lambda: next(sizes), lambda: {"merges": 2, "vacuums": 0}, QUICK, background_work=True
    )
    assert not rest.settled
    assert rest.busy == {"merges": 2}
    assert len(rest.curve) > 3


def test_a_busy_signal_alone_keeps_a_constant_size_from_counting() -> None:
    rest = wait_for_rest(lambda: 7, lambda: {"pending": 1}, QUICK, background_work=False)
    assert not rest.settled


def test_a_long_rest_keeps_a_short_curve() -> None:
    rest = wait_for_rest(lambda: 7, dict, QUICK, background_work=True)
    assert rest.settled
    assert len(rest.curve) <= 3
