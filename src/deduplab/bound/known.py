"""Cuts that were made once: a copy of what was cut needs only to be recognised.

Cutting costs some hundred picoseconds a byte at each grain, recognising a
hundredth of a nanosecond at all of them. What is remembered is what was cut
last, within a bound, so copies that are farther back are cut again; the answer
is the same.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

MOST_KNOWN_BYTES: Final = 24 * 1024 * 1024
"""What all that is remembered takes at most."""
LEAST_KNOWN_LENGTH_BYTES: Final = 128 * 1024
"""Shorter objects are cut again: many at once, which takes hardly longer than recognising each."""
_ENTRY_BYTES: Final = 400
KNOWN_CHUNK_BYTES: Final = _ENTRY_BYTES + 24
"""What a chunk that is remembered takes at most: alone, with its length and digest."""


Found = TypeVar("Found")
"""What is remembered of one object or part: whatever whoever cuts it makes of it."""


class KnownCuts(Generic[Found]):
    """The cuts of what was cut last, by 128-bit fingerprint, and grain where they are of one."""

    def __init__(self, most_bytes: int = MOST_KNOWN_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._cuts: dict[bytes, tuple[Found, int]] = {}

    def get(self, key: bytes) -> Found | None:
        """Return what was remembered under a key, None if nothing is any more."""
        known = self._cuts.get(key)
        return known[0] if known else None

    def put(self, key: bytes, cuts: Found, length_bytes: int) -> None:
        """Remember cuts, so many bytes, under a key that is new; the oldest are forgotten."""
        taken_bytes = _ENTRY_BYTES + length_bytes
        self._cuts[key] = (cuts, taken_bytes)
        self._bytes += taken_bytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._cuts.pop(next(iter(self._cuts)))[1]
