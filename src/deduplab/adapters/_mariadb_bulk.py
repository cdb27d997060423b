"""Many rows as MariaDB's client library takes them: a pointer and a length for each value.

numpy lays them out, so payloads go from the batch's buffer into the library's
packet without passing through Python. Source: MariaDB Knowledge Base, "Bulk
Insert (Column-wise Binding)".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

PACKET_BYTES: Final = 1 << 20
"""Rows of a bulk are sent in packets of about this many bytes, or one row if that is longer."""


class Kind(Enum):
    """How a value travels: as bytes, as text (in UTF-8), as an integer of 64 bits, as a double."""

    BYTES = 252
    TEXT = 253
    INTEGER = 8
    FLOAT = 5

    @property
    def has_length(self) -> bool:
        """Whether values are bytes here, of any length."""
        return self in (Kind.BYTES, Kind.TEXT)


@dataclass(frozen=True, slots=True)
class BulkColumn:
    """One parameter of many rows.

    Parameters
    ----------
    kind
        How the values travel.
    values
        Of bytes and text their addresses (uint64), of others the values (int64, float64).
    lengths
        Of bytes and text their lengths in bytes (uint64), else None.
    nulls
        int8, 1 where the value is NULL; None where none is.
    keep
        What the addresses point into.
    """

    kind: Kind
    values: npt.NDArray[Any]
    lengths: npt.NDArray[np.uint64] | None = None
    nulls: npt.NDArray[np.int8] | None = None
    keep: object = None

    @classmethod
    def of_buffer(cls, data: memoryview, offsets: npt.NDArray[np.int64]) -> BulkColumn:
        """Return payloads that lie back to back, where they are."""
        base = np.frombuffer(data, dtype=np.uint8) if len(data) else np.zeros(1, dtype=np.uint8)
        starts = offsets[:-1].astype(np.uint64) + np.uint64(base.ctypes.data)
        return cls(Kind.BYTES, starts, np.diff(offsets).astype(np.uint64), keep=base)

    @classmethod
    def of_values(cls, kind: Kind, values: Sequence[Any]) -> BulkColumn:
        """Return values (bytes, int or float, or None), one a row."""
        nulls = None
        if None in values:
            nulls = np.fromiter((value is None for value in values), np.int8, len(values))
        if not kind.has_length:
            numbers = (0 if value is None else value for value in values)
            dtype = np.float64 if kind is Kind.FLOAT else np.int64
            return cls(kind, np.fromiter(numbers, dtype, len(values)), nulls=nulls)
        filled = values if nulls is None else [value or b"" for value in values]
        offsets = np.zeros(len(filled) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, filled), np.int64, len(filled)), out=offsets[1:])
        column = cls.of_buffer(memoryview(b"".join(filled)), offsets)
        return cls(kind, column.values, column.lengths, nulls, column.keep)


def cuts(columns: Sequence[BulkColumn], rows: int) -> list[int]:
    """Return where packets begin, and the number of rows; a row is never cut."""
    weights = np.zeros(rows, dtype=np.int64)
    for column in columns:
        weights += 8 if column.lengths is None else column.lengths.astype(np.int64)
    ends = np.cumsum(weights)
    found = [0]
    while found[-1] < rows:
        before = int(ends[found[-1] - 1]) if found[-1] else 0
        fitting = int(np.searchsorted(ends, before + PACKET_BYTES, side="right"))
        found.append(max(fitting, found[-1] + 1))
    return found
