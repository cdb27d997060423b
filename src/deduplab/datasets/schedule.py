"""The schedule of a dataset: which objects make up which batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

_LEAST_AHEAD: Final = 4096
_MOST_AHEAD: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Part:
    """Some objects that follow each other; arrays of int64, shape (objects,).

    ``lengths`` are those of the objects in bytes, before they are wrapped;
    ``containers`` is None where there is only one.
    """

    ids: Numbers
    copies: Numbers
    lengths: Numbers
    containers: Numbers | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def slice(self, start: int, stop: int) -> Part:
        """Return the objects ``start`` to ``stop - 1`` of these."""
        return Part(
            self.ids[start:stop],
            self.copies[start:stop],
            self.lengths[start:stop],
            None if self.containers is None else self.containers[start:stop],
        )

    def followed_by(self, other: Part) -> Part:
        """Return these objects and then others."""
        if not len(self):
            return other
        dealt = None
        if self.containers is not None and other.containers is not None:
            dealt = np.concatenate((self.containers, other.containers))
        return Part(
            np.concatenate((self.ids, other.ids)),
            np.concatenate((self.copies, other.copies)),
            np.concatenate((self.lengths, other.lengths)),
            dealt,
        )


def schedule(
    places: Callable[[Numbers], Part], objects: int, batch_bytes: int, mean_bytes: int
) -> Iterator[Part]:
    """Yield all objects in parts of at most ``batch_bytes``, but one object at least.

    A part ends where the container changes. ``places`` is asked for many objects
    at a time; ``mean_bytes`` tells about how many.
    """
    ahead = min(max(_LEAST_AHEAD, 4 * batch_bytes // mean_bytes), _MOST_AHEAD)
    waiting = places(np.empty(0, dtype=np.int64))
    for start in range(0, objects, ahead):
        stop = min(start + ahead, objects)
        waiting = waiting.followed_by(places(np.arange(start, stop, dtype=np.int64)))
        bounds = _bounds(waiting, batch_bytes)
        # The last part may go on with the objects that are placed next.
        if stop < objects:
            bounds.pop()
        for first, last in zip([0, *bounds], bounds, strict=False):
            yield waiting.slice(first, last)
        waiting = waiting.slice(bounds[-1] if bounds else 0, len(waiting))


def _bounds(part: Part, batch_bytes: int) -> list[int]:
    """Return where each batch ends."""
    ends = np.cumsum(part.lengths)
    changes = [len(part)]
    if part.containers is not None:
        changes = [*(np.flatnonzero(np.diff(part.containers)) + 1).tolist(), len(part)]
    bounds, done = [], 0
    for change in changes:
        while done < change:
            limit = batch_bytes + (int(ends[done - 1]) if done else 0)
            full = int(np.searchsorted(ends, limit, side="right"))
            done = min(max(full, done + 1), change)
            bounds.append(done)
    return bounds
