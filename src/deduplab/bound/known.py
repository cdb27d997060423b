"""Cuts that were made once: a copy of what was cut needs only to be recognised.

Cutting costs some hundred picoseconds a byte at each grain, recognising a
hundredth of a nanosecond at all of them. What is remembered is what was cut
last, within a bound, so copies that are farther back are cut again; the answer
is the same.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from deduplab.bound.settings import ScanSettings
from deduplab.units import MIB

EXACT_KNOWN_BYTES: Final = 256 * MIB
"""What is remembered in an exact scan takes at most: the cuts of 12 GiB at ten grains."""
SAMPLED_KNOWN_BYTES: Final = 24 * MIB
"""The same in a sampled scan, whose memory is little whatever the data."""
LEAST_KNOWN_LENGTH_BYTES: Final = 128 * 1024
"""Shorter objects are cut again: many at once, which takes hardly longer than recognising each."""
ENTRY_BYTES: Final = 400
"""What is remembered of one object or part takes, besides its chunks."""
KNOWN_CHUNK_BYTES: Final = 24
"""What a chunk that is remembered takes: its length and digest."""


Found = TypeVar("Found")
"""What is remembered of one object or part: whatever whoever cuts it makes of it."""


class KnownCuts(Generic[Found]):
    """The cuts of what was cut last, by 128-bit fingerprint, and grain where they are of one.

    Parameters
    ----------
    most_bytes
        What all of them take at most.
    """

    @classmethod
    def of_scan(cls, settings: ScanSettings) -> KnownCuts[Found]:
        """Return one that remembers nothing yet, with as much memory as a scan gives it."""
        return cls(EXACT_KNOWN_BYTES if settings.sample is None else SAMPLED_KNOWN_BYTES)

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._cuts: dict[bytes, tuple[Found, int]] = {}

    def get(self, key: bytes) -> Found | None:
        """Return what was remembered under a key, None if nothing is any more."""
        known = self._cuts.get(key)
        return known[0] if known else None

    def put(self, key: bytes, cuts: Found, length_bytes: int) -> None:
        """Remember cuts, so many bytes, under a key that is new; the oldest are forgotten."""
        taken_bytes = ENTRY_BYTES + length_bytes
        self._cuts[key] = (cuts, taken_bytes)
        self._bytes += taken_bytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._cuts.pop(next(iter(self._cuts)))[1]
