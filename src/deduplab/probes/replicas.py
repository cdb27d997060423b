"""The REPLICAS layer: the files of all members of a replicated system."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from deduplab.errors import ProbeError
from deduplab.model import Layer, Reading, Ruler
from deduplab.probes.files import FilesProbe
from deduplab.server import Member


class ReplicasProbe:
    """Sums the files of the members, by both rulers; each member is a component.

    A file system that shares blocks between members shows it at the layer VOLUME, not here.

    Parameters
    ----------
    members
        All members, the leader included.
    physical_copies
        Returns how many of them hold everything now: R of the method. It is asked before the
        files are looked at, so that they hold at least as much.
    """

    layer = Layer.REPLICAS

    def __init__(self, members: Sequence[Member], physical_copies: Callable[[], int]) -> None:
        self._probes = {member.name: FilesProbe(member.directory) for member in members}
        self._physical_copies = physical_copies

    def measure(self) -> tuple[Reading, ...]:
        """Return the allocated and the apparent reading of this moment.

        Raises
        ------
        ProbeError
            If files can't be read, or it can't be told how many copies they are.
        """
        copies = self._physical_copies()
        at_unix_ns = time.time_ns()
        sizes: dict[Ruler, dict[str, int]] = {}
        sources: dict[Ruler, str] = {}
        for name, probe in self._probes.items():
            try:
                readings = probe.measure()
            except ProbeError as error:
                raise ProbeError(f"{name}: {error}") from error
            for reading in readings:
                sizes.setdefault(reading.ruler, {})[name] = reading.total_bytes
                sources[reading.ruler] = reading.source
        return tuple(
            Reading(
                layer=self.layer,
                ruler=ruler,
                total_bytes=sum(by_member.values()),
                source=f"{sources[ruler]}, of {len(by_member)} members",
                at_unix_ns=at_unix_ns,
                components=by_member,
                copies=copies,
            )
            for ruler, by_member in sizes.items()
        )

    def allocated_bytes(self) -> int:
        """Return the allocated bytes alone; the cheap form for a rest curve."""
        return sum(probe.allocated_bytes() for probe in self._probes.values())
