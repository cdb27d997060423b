import pytest
from hypothesis import given
from hypothesis import strategies as st

from deduplab.errors import PlanError
from deduplab.units import (
    format_bytes,
    format_ns,
    format_seconds,
    parse_bytes,
    parse_percent,
)


@pytest.mark.parametrize(
    ("text", "expected_bytes"),
    [("8 MiB", 8 * 1024**2), ("64KiB", 65536), ("4096", 4096), (12, 12), ("3 GB", 3 * 10**9)],
)
def test_sizes_are_read(text: str | int, expected_bytes: int) -> None:
    assert parse_bytes(text) == expected_bytes


@pytest.mark.parametrize("text", ["", "8 MiBs", "1.5 MiB", "-1", "MiB", -1])
def test_a_wrong_size_is_refused(text: str | int) -> None:
    with pytest.raises(PlanError, match="number of bytes"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["101 %", "ten", "10 % of it", -1, 101])
def test_a_wrong_percentage_is_refused(text: str | int) -> None:
    with pytest.raises(PlanError, match="percentage"):
        parse_percent(text)


def test_percentages_are_read() -> None:
    assert [parse_percent(text) for text in ("0 %", "10%", 100)] == [0, 10, 100]


@given(st.integers(min_value=0, max_value=2**50))
def test_a_written_size_is_near_the_number(count_bytes: int) -> None:
    value, unit = format_bytes(count_bytes).split(" ")
    factor = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
    assert abs(float(value) * factor - count_bytes) <= 0.006 * count_bytes + 0.5


def test_durations_are_written_for_people() -> None:
    assert format_ns(120) == "120 ns"
    assert format_ns(1500) == "1.5 µs"
    assert format_ns(2.5e9) == "2.5 s"
    assert [format_ns(value) for value in (999.4, 999.5, 999_600, 999.7e6)] == [
        "999 ns",
        "1 µs",
        "1 ms",
        "1.0 s",
    ]
    assert format_seconds(185) == "3:05 min"
    assert format_seconds(7260) == "2:01 h"
