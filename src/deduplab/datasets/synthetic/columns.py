"""Columns: the fields of fixed-width rows, each made for many rows by one operation.

A column of width w gives an array of ``V<w>``: w bytes a row. Fields that vary in
width in reality vary between the shapes of a family, not within a column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import Final

import numpy as np

from deduplab.datasets.synthetic.cells import (
    GROUP,
    Cells,
    digits,
    hex_table,
    packed_cells,
    table_of,
)
from deduplab.datasets.synthetic.draws import Numbers

_HALF_BITS: Final = np.uint64(32)
_SECOND_MICROSECONDS: Final = 1_000_000
_DAY_SECONDS: Final = 86_400
_FIRST_DAY: Final = date(2016, 1, 1)
_FIRST_DAY_SECONDS: Final = (_FIRST_DAY - date(1970, 1, 1)).days * _DAY_SECONDS
_DAYS: Final = 3653  # ten years
_BEGINNING: Final = 5


class Column(ABC):
    """One field of a row.

    Attributes
    ----------
    width
        Bytes of the field.
    draws
        Random numbers of 64 bits that a row needs, 0 if half of one is enough or none is needed.
    half
        Whether half a random number is needed, 32 bits.
    numbered
        Whether the field depends on which row of which object it is.
    """

    width: int
    draws: int = 1
    half: bool = False
    numbered: bool = False

    @abstractmethod
    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return the field of each row.

        ``owners`` are the ids of the objects that the rows belong to, ``places`` the
        rows' places in their objects (both only if the column is ``numbered``),
        ``numbers`` random, of shape (draws, rows); (1, rows) and below 2^32 for a half.
        """


class Pick(Column):
    """One of some texts of equal width, each equally often."""

    draws = 0
    half = True

    def __init__(self, choices: Sequence[str] | Cells) -> None:
        self._table = choices if isinstance(choices, np.ndarray) else table_of(choices)
        self.width = self._table.dtype.itemsize

    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return a text for each row."""
        return self._table.take(_below(numbers[0], len(self._table)))


class Ordinal(Column):
    """The object's id, added to a power of ten so that it always has ``width`` digits."""

    draws = 0
    numbered = True

    def __init__(self, width: int) -> None:
        self.width = width
        self._least = np.uint64(10 ** (width - 1))

    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return the number of each row."""
        return digits(owners + self._least, self.width)


class Digits(Column):
    """A random number of ``width`` digits, at most nine.

    Parameters
    ----------
    head
        Whether the first digit is never 0, as JSON wants it of whole numbers.
    tail
        Whether the last digit is never 0, as in the shortest form of a fraction.
    """

    draws = 0
    half = True

    def __init__(self, width: int, *, head: bool = False, tail: bool = False) -> None:
        assert 1 <= width <= 9, "half a random number gives nine digits"
        self.width = width
        self._tail = tail
        rest = width - tail
        self._least = 10 ** (rest - 1) if head and rest else 0
        self._span = 10**rest - self._least
        self._table: Cells | None = None
        if width <= GROUP:
            lasts = range(1, 10) if tail else (0,)
            scale = 10 if tail else 1
            self._table = table_of(
                [
                    f"{value * scale + last:0{width}d}"
                    for value in range(self._least, self._least + self._span)
                    for last in lasts
                ]
            )

    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return a number for each row."""
        if self._table is not None:
            return self._table.take(_below(numbers[0], len(self._table)))
        if not self._tail:
            return digits(_below(numbers[0], self._span) + np.uint64(self._least), self.width)
        values = _below(numbers[0], 9 * self._span)
        rest = values // np.uint64(9)
        last = values - rest * np.uint64(9) + np.uint64(1)
        return digits((rest + np.uint64(self._least)) * np.uint64(10) + last, self.width)


class Hex(Column):
    """Random hexadecimal digits: 4, 8, 12 or 16."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.half = width <= 8
        self.draws = 0 if self.half else 1

    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return the digits of each row."""
        groups = numbers[0].view("<u2").reshape(-1, 4)[:, : self.width // GROUP]
        return packed_cells(hex_table().take(groups).view(np.uint8))


class Uuid(Column):
    """A random UUID (version 4, RFC 9562)."""

    width = 36
    draws = 2

    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return the UUID of each row, in lower case."""
        groups = np.empty((numbers.shape[1], 8), dtype=np.uint16)
        groups[:, :4] = numbers[0].view("<u2").reshape(-1, 4)
        groups[:, 4:] = numbers[1].view("<u2").reshape(-1, 4)
        groups[:, 3] = groups[:, 3] & 0x0FFF | 0x4000
        groups[:, 4] = groups[:, 4] & 0x3FFF | 0x8000
        made = np.empty(numbers.shape[1], dtype=_UUID)
        texts = hex_table().take(groups)
        for place in range(8):
            made[f"group{place}"] = texts[:, place]
        for place in range(4):
            made[f"hyphen{place}"] = b"-"
        return made.view("V36")


class Timestamp(Column):
    """A moment within ten years from 2016, as ``2024-05-06T07:08:09.000000Z``.

    Parameters
    ----------
    step_microseconds
        None draws moments at random. Otherwise row n of object i is i seconds and
        n steps after the start of 2016, and after ten years time begins again.
    microseconds
        Whether the moment is written as whole microseconds since 1970 (16 digits).
    """

    def __init__(self, step_microseconds: int | None = None, *, microseconds: bool = False) -> None:
        self._step = step_microseconds
        self.draws = 1 if step_microseconds is None else 0
        self.numbered = step_microseconds is not None
        self._microseconds = microseconds
        self.width = 16 if microseconds else 27

    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return the moment of each row."""
        span = np.uint64(_DAYS * _DAY_SECONDS * _SECOND_MICROSECONDS)
        if self._step is None:
            ticks = numbers[0]
        else:
            ticks = owners * np.uint64(_SECOND_MICROSECONDS) + places * np.uint64(self._step)
        ticks = ticks % span
        if self._microseconds:
            start = np.uint64(_FIRST_DAY_SECONDS * _SECOND_MICROSECONDS)
            return digits(ticks + start, 16)
        seconds, rest = np.divmod(ticks, np.uint64(_SECOND_MICROSECONDS))
        days, seconds = np.divmod(seconds, np.uint64(_DAY_SECONDS))
        made = np.empty(len(ticks), dtype=_TIMESTAMP)
        made["day"] = _day_table().take(days)
        made["time"] = _time_table().take(seconds)
        made["rest"] = digits(rest, 6)
        made["end"] = b"Z"
        return made.view("V27")


class Iban(Column):
    """An account number as ISO 13616 has it, 22 characters with valid check digits.

    The country code ``XD`` is one of those that ISO 3166 leaves to users, so no
    real account is named.
    """

    width = 22

    def cells(self, owners: Numbers, places: Numbers, numbers: Numbers) -> Cells:
        """Return the account of each row."""
        account = numbers[0] % np.uint64(10**18)
        # Modulo 97 of the account, "XD" as 33 13, and "00" for the digits looked for.
        shifted = (account % np.uint64(97)) * np.uint64(10**6 % 97) + np.uint64(331300 % 97)
        check = np.uint64(98) - shifted % np.uint64(97)
        made = np.empty(len(account), dtype=_IBAN)
        made["country"] = b"XD"
        made["check"] = digits(check, 2)
        made["account"] = digits(account, 18)
        return made.view("V22")


def fraction(width: int) -> tuple[Column, ...]:
    """Return the columns of a number with a point in its shortest form, of ``width`` characters.

    It has either sign and is large or small: a beginning of five characters with
    the point in it, and random digits of which the last is not 0. With at most ten
    characters it has fewer than 10 significant digits, so each number is what the
    shortest form of a double reads.
    """
    return Pick(_beginnings()), Digits(width - _BEGINNING, tail=True)


_UUID: Final = np.dtype(
    [
        ("group0", "V4"), ("group1", "V4"), ("hyphen0", "V1"),
        ("group2", "V4"), ("hyphen1", "V1"),
        ("group3", "V4"), ("hyphen2", "V1"),
        ("group4", "V4"), ("hyphen3", "V1"),
        ("group5", "V4"), ("group6", "V4"), ("group7", "V4"),
    ]
)  # fmt: skip
_TIMESTAMP: Final = np.dtype([("day", "V11"), ("time", "V9"), ("rest", "V6"), ("end", "V1")])
_IBAN: Final = np.dtype([("country", "V2"), ("check", "V2"), ("account", "V18")])


def _below(halves: Numbers, limit: int) -> Numbers:
    """Return a number below ``limit`` for each half of a random number, all about as often."""
    return halves * np.uint64(limit) >> _HALF_BITS


@cache
def _day_table() -> Cells:
    return table_of([f"{_FIRST_DAY + timedelta(days=day)}T" for day in range(_DAYS)])


@cache
def _time_table() -> Cells:
    return table_of(
        [
            f"{hour:02d}:{minute:02d}:{second:02d}."
            for hour in range(24)
            for minute in range(60)
            for second in range(60)
        ]
    )


@cache
def _beginnings() -> Cells:
    """Return beginnings of five characters with the point in them, from -99.9 to 999.9."""
    positive = [
        *(f"{value // 10}.{value % 10}" for value in range(1000, 10_000)),
        *(f"{value // 100}.{value % 100:02d}" for value in range(1000, 10_000)),
        *(f"{value // 1000}.{value % 1000:03d}" for value in range(10, 10_000)),
    ]
    negative = [
        *(f"-{value // 10}.{value % 10}" for value in range(100, 1000)),
        *(f"-{value // 100}.{value % 100:02d}" for value in range(1, 1000)),
    ]
    return table_of(positive + 5 * negative)
