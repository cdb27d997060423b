"""The timed regions of a stage that several clients share: operation i is done by client i mod n.

A region begins for all at one moment, and ends with the last one: in between it does not begin
anything new, so between two regions the clock stands still for all, while payloads are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from deduplab.bench.client import Given, Share
from deduplab.bench.clients import Clients
from deduplab.bench.clock import Timing
from deduplab.bench.open_loop import OpenTiming
from deduplab.bench.pace import Due
from deduplab.record import Stored
from deduplab.server import Endpoint


@dataclass(slots=True, kw_only=True)
class SharedTiming(Timing):
    """What the timed regions of several clients gave so far, in the order of the operations.

    Attributes
    ----------
    crew
        The clients.
    pace
        When operations are due, of all clients together; None in a closed loop.
    """

    crew: Clients
    pace: Due | None = None
    regions: int = 0
    idle_ns: int = 0
    _raw_ns: list[npt.NDArray[np.int64]] = field(default_factory=list)

    @classmethod
    def of(cls, timing: Timing, crew: Clients) -> SharedTiming:
        """Return that of a stage which one client would time like this."""
        pace = timing.pace if isinstance(timing, OpenTiming) else None
        return cls(crew=crew, pace=pace)

    def each_put(
        self, put: Callable[[str, Stored], None], keys: Sequence[str], payloads: Sequence[Stored]
    ) -> None:
        """Have one operation per object timed, each by the client whose turn it is."""
        self._region([Share("put", [*keys[of]], [*payloads[of]]) for of in self._turns(len(keys))])

    def each_get(
        self, get: Callable[[str], Stored | None], keys: Sequence[str]
    ) -> list[Stored | None]:
        """Have one read per key timed, and return what was read, in order."""
        turns = self._turns(len(keys))
        given = self._region([Share("get", [*keys[of]]) for of in turns])
        found: list[Stored | None] = [None] * len(keys)
        for of, one in zip(turns, given, strict=True):
            found[of] = one.found
        return found

    def delete(self, delete: Callable[[Sequence[str]], int], keys: Sequence[str]) -> None:
        """Have the deletion timed: one key a request in an open loop, else one request a client."""
        requests = len(keys) if self.pace else min(len(self.crew), len(keys))
        shares = []
        for of in self._turns(requests):
            numbers = range(requests)[of]
            own = [key for number in numbers for key in keys[number::requests]]
            shares.append(Share("delete", own))
        self._region(shares, requests)

    @property
    def rate_per_s(self) -> float | None:
        """The rate at which operations were offered by all clients together."""
        return self.pace.rate_per_s if self.pace else None

    @property
    def clients(self) -> int:
        """How many clients did the operations."""
        return len(self.crew)

    @property
    def waited_ns(self) -> int:
        """How long clients that were done waited for the last one, all of them together."""
        return self.idle_ns

    def reopened(self, endpoint: Endpoint) -> None:
        """Have all clients connect to an instance that was restarted."""
        self.crew.reopen(endpoint)

    def ended(self) -> None:
        """Have the cell's own adapter look again at what the clients have changed."""
        self.crew.ended()

    def raw_ns(self) -> npt.NDArray[np.int64]:
        """Return what is kept of each operation, in order: number i is of client i mod n."""
        if not self._raw_ns:
            return np.empty(0, dtype=np.int64)
        return np.concatenate(self._raw_ns, axis=-1)

    def _turns(self, count: int) -> list[slice]:
        """Return which of the next operations are each client's."""
        clients = len(self.crew)
        first = len(self.latencies_ns) % clients
        return [slice((number - first) % clients, count, clients) for number in range(clients)]

    def _region(self, shares: list[Share], count: int | None = None) -> list[Given]:
        if count is None:
            count = sum(len(share.keys) for share in shares)
        turns = self._turns(count)
        if not self.regions:
            self.crew.begin(self.rate_per_s)
        self.regions += 1
        if self.pace:
            *due_ns, behind_ns = self.pace.take(count)
            for share, of in zip(shares, turns, strict=True):
                share.due_ns.extend((*due_ns[of], behind_ns))
        at_ns, ended_ns, given = self.crew.work(shares)
        last_ns = max(ended_ns)
        self.duration_ns += last_ns - at_ns
        self.idle_ns += sum(last_ns - one for one in ended_ns)
        self._keep(turns, given, count)
        return given

    def _keep(self, turns: list[slice], given: list[Given], count: int) -> None:
        whole = np.zeros((*given[0].raw_ns.shape[:-1], count), dtype=np.int64)
        for of, one in zip(turns, given, strict=True):
            whole[..., of] = one.raw_ns
            self.acknowledged += one.acknowledged
        self._raw_ns.append(whole)
        self.latencies_ns.extend(np.atleast_2d(whole)[0].tolist())
