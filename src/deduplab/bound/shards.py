"""The parts of sources that processes scan, and the order in which each looks for the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from deduplab.bound.stream import Source, split

SHARDS_PER_PROCESS: Final = 16
"""More shards than processes, so that none waits long for the last one."""
_LAST_SHARE: Final = 8
_LAST_PARTS: Final = 8
"""The last eighth of them is taken in so many parts each, so that the wait is shorter still."""


class Shards:
    """All parts, in the order of the sources; no object is in two of them.

    Parameters
    ----------
    sources
        What to scan, in order.
    processes
        How many are to scan it; less if there are not as many parts.

    Attributes
    ----------
    all
        The parts, in order.
    processes
        How many scan them.
    """

    def __init__(self, sources: Sequence[Source], processes: int) -> None:
        shards = split(sources, SHARDS_PER_PROCESS * processes)
        first_of_last = len(shards) - len(shards) // _LAST_SHARE
        self.all: list[Source] = []
        self._groups: list[range] = []
        for place, shard in enumerate(shards):
            parts = [shard] if place < first_of_last else shard.shards(_LAST_PARTS)
            self._groups.append(range(len(self.all), len(self.all) + len(parts)))
            self.all += parts
        self._last = self._groups[first_of_last:]
        # While the first process scans the last part, others write down what they have counted.
        last = self._groups[-1]
        self._for_the_first = last[-1] if len(last) > 1 else None
        self.processes = min(processes, len(self.all))

    def order(self, number: int) -> list[int]:
        """Return the places of all parts in the order in which a process looks for one to scan.

        Each begins with every n-th shard, and helps the others when these are done, first with the
        last ones, which are short: what comes again in a regular order, such as one backup after
        the other, then comes to one process, which has cut it before.
        """
        groups = [*self._groups[number :: self.processes], *self._last, *self._groups]
        kept = self._for_the_first if number else None
        return [place for group in groups for place in group if place != kept]
