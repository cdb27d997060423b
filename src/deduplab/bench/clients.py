"""Several clients of a cell, as the cell's process sees them: ordered together, ended together.

They are forked before this process has any thread, as the tracer is. No operation passes through
this process: it sleeps while they work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Final, TypeVar

from deduplab.bench.client import (
    READY,
    Beginning,
    Client,
    Ended,
    Entrance,
    Failure,
    Given,
    Giving,
    Reopening,
    Share,
    Start,
)
from deduplab.bench.containers import Containers
from deduplab.bench.forked import ForkedProcess
from deduplab.bench.rig import Rig
from deduplab.cell import Cell
from deduplab.datasets import build_dataset
from deduplab.errors import OperationFailed, Unsupported
from deduplab.server import Endpoint

LEAD_NS: Final = 5_000_000
"""So long before they begin clients are told when that is."""

_Answer = TypeVar("_Answer")


class Clients:
    """The clients of one cell.

    Parameters
    ----------
    cell
        How many there are, and what their data is.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._look_again: Callable[[], None] = lambda: None
        self._processes: list[ForkedProcess] = []
        for number in range(cell.clients):
            self._processes.append(ForkedProcess(f"client {number}", self._be_client))

    def __len__(self) -> int:
        return self._cell.clients

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that have not ended."""
        return tuple(one.process_id for one in self._processes if one.process_id is not None)

    def join(self, rig: Rig) -> None:
        """Have all connect and join the namespace: then P(0) contains their connections.

        Raises
        ------
        Unsupported
            If no second process can; it is never passed over with one client.
        DeduplabError
            What a client failed with.
        """
        adapter, system = rig.adapter, self._cell.system
        joining = adapter.joining()
        if joining is None:
            files = "its files belong to one process"
            reason = files if rig.endpoint.port is None else "no second process can join it"
            raise Unsupported(f"{system} can't have {len(self)} clients: {reason}")
        kind = adapter.kind if isinstance(adapter, Containers) else type(adapter)
        native = self._cell.layout == "native"
        self._same(Entrance(kind, joining, rig.endpoint, native))
        self._look_again = adapter.look_again

    def reopen(self, endpoint: Endpoint) -> None:
        """Have all connect anew to an instance that was restarted."""
        self._same(Reopening(endpoint))

    def begin(self, rate_per_s: float | None) -> None:
        """Tell all that a stage begins."""
        self._same(Beginning(rate_per_s))

    def work(self, shares: Sequence[Share]) -> tuple[int, list[int], list[Given]]:
        """Have each do its share, all from the same moment on.

        Returns
        -------
        tuple
            That moment, when each had ended, and what came of each share.

        Raises
        ------
        DeduplabError
            What the first client failed with; then the others are ended at once. If it does
            not offer what it was asked for (Unsupported), they go on with the next stage.
        """
        self._answers(shares, str)  # in memory, each in its own process, before the clock starts
        at_ns = time.perf_counter_ns() + LEAD_NS
        ended = self._answers([Start(at_ns)] * len(self), Ended)
        given = self._answers([Giving()] * len(self), Given)
        return at_ns, [one.at_ns for one in ended], given

    def ended(self) -> None:
        """Have the adapter of this process look again at what the clients have changed."""
        self._look_again()

    def close(self) -> None:
        """End all, whatever they do; safe to call twice."""
        for process in self._processes:
            process.close()

    def _be_client(self, connection: Connection) -> None:
        Client(connection, lambda: build_dataset(self._cell.bulk).record_type).serve()

    def _same(self, order: object) -> None:
        """Give all the same order; none has more to say than that it was done."""
        self._answers([order] * len(self), str)

    def _answers(self, orders: Sequence[object], kind: type[_Answer]) -> list[_Answer]:
        """Give each client its order, and return their answers."""
        try:
            for number, order in enumerate(orders):
                self._send(number, order)
            found = self._gathered()
        except BaseException:
            self.close()
            raise
        for number, answer in found.items():
            if isinstance(answer, Failure):
                raise answer.kind(f"{self._name(number)}: {answer.words}")
        answers = [found[number] for number in range(len(self))]
        assert all(isinstance(one, kind) for one in answers)
        return answers  # type: ignore[return-value]

    def _send(self, number: int, order: object) -> None:
        try:
            self._processes[number].connection.send(order)
        except OSError as error:
            raise self._died(number) from error

    def _gathered(self) -> dict[int, object]:
        """Return one answer of each; raise at once what one failed with."""
        deadline = time.monotonic() + self._cell.deadline_s
        waiting = {one.connection: number for number, one in enumerate(self._processes)}
        found: dict[int, object] = {}
        while waiting:
            ready = wait(list(waiting), timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                raise OperationFailed(
                    f"{self._name(min(waiting.values()))} did not answer within "
                    f"{self._cell.deadline_s:.0f} s"
                )
            for connection in ready:
                assert isinstance(connection, Connection)
                number = waiting.pop(connection)
                found[number] = self._received(number, connection)
        return found

    def _received(self, number: int, connection: Connection) -> object:
        try:
            answer = connection.recv()
        except (EOFError, OSError) as error:
            raise self._died(number) from error
        if isinstance(answer, Failure) and answer.kind is not Unsupported:
            raise answer.kind(f"{self._name(number)}: {answer.words}")
        if isinstance(answer, str) and answer != READY:
            raise OperationFailed(answer)
        return answer

    def _died(self, number: int) -> OperationFailed:
        how = self._processes[number].how_it_ended()
        return OperationFailed(f"{self._name(number)} died ({how})")

    def _name(self, number: int) -> str:
        return f"client {number} of {len(self)}"
