"""What a scan keeps at most, and what it takes."""

from __future__ import annotations

from typing import Final

from deduplab.units import KIB, MIB

MOST_ROWS: Final = 24_576
"""Unique chunks that a sampled tally keeps at most: 40 bytes each, so 0.94 MiB."""

ROW_BYTES: Final = 40
"""What a unique chunk takes: two halves of its fingerprint, length, count, last place."""

COMPRESSED_BYTES: Final = 4 * MIB
"""Greatest sum of the lengths that are compressed for one grain."""

HEAD_BYTES: Final = 256 * KIB
"""The head of an object that stands for all of it where it is compressed; chunks are not longer."""
