"""Cuts that were made once: a copy of what was cut needs only to be recognised.

Cutting costs some hundred picoseconds a byte at each grain, recognising a
hundredth of a nanosecond at all of them. What is remembered is what was cut
last, within a bound, so copies that are farther back are cut again; the answer
is the same.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MOST_KNOWN_BYTES: Final = 24 * 1024 * 1024
"""What all that is remembered takes at most."""
LEAST_KNOWN_LENGTH_BYTES: Final = 128 * 1024
"""Shorter objects are cut again: many at once, which takes hardly longer than recognising each."""
_ENTRY_BYTES: Final = 400
KNOWN_CHUNK_BYTES: Final = _ENTRY_BYTES + 24
"""What a chunk that is remembered takes at most: alone, with its length and digest."""


class Cuts(NamedTuple):
    """Where an object, or the next part of one, was cut.

    ``lengths`` are int64, ``digests`` 16 bytes a chunk, both as they lie in memory.
    Of a part, the first ``bridging`` chunks begin before it and end ``bridged_bytes``
    behind its begin, and its last ``left_bytes`` wait for what follows.
    """

    lengths: bytes
    digests: bytes
    bridging: int = 0
    bridged_bytes: int = 0
    left_bytes: int = 0


class KnownCuts:
    """The cuts of what was cut last, by 128-bit fingerprint and grain."""

    def __init__(self, most_bytes: int = MOST_KNOWN_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._cuts: dict[bytes, Cuts] = {}

    def get(self, key: bytes) -> Cuts | None:
        """Return what was remembered under a key, None if nothing is any more."""
        return self._cuts.get(key)

    def put(self, key: bytes, cuts: Cuts) -> None:
        """Remember cuts under a key that is new; the oldest are forgotten for them."""
        self._cuts[key] = cuts
        self._bytes += _taken_bytes(cuts)
        while self._bytes > self._most_bytes:
            oldest = next(iter(self._cuts))
            self._bytes -= _taken_bytes(self._cuts.pop(oldest))


def _taken_bytes(cuts: Cuts) -> int:
    return _ENTRY_BYTES + len(cuts.lengths) + len(cuts.digests)
