"""A port that another process took in between: tried again, and nothing else is."""

from collections.abc import Callable, Iterator

import pytest

from deduplab.errors import SystemUnavailable
from deduplab.servers._process import started_on_a_free_port


def starting(*outcomes: str) -> Callable[[], str]:
    """Return what ends in these ways, one after another; ``up`` is the only good one."""
    left: Iterator[str] = iter(outcomes)

    def start() -> str:
        outcome = next(left)
        if outcome != "up":
            raise SystemUnavailable(outcome)
        return outcome

    return start


def test_a_taken_port_is_tried_again() -> None:
    assert started_on_a_free_port(starting("taken", "taken", "up"), lambda: True) == "up"


def test_another_reason_ends_it_at_once() -> None:
    with pytest.raises(SystemUnavailable, match="broken"):
        started_on_a_free_port(starting("broken", "up"), lambda: False)


def test_it_ends_after_five_attempts() -> None:
    outcomes = ("first", "second", "third", "fourth", "fifth", "up")
    with pytest.raises(SystemUnavailable, match="fifth"):
        started_on_a_free_port(starting(*outcomes), lambda: True)
