"""An outlet: what a slow or faulty sink costs is its own messages, which are counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from deduplab.sinks.message import Message
from deduplab.sinks.outlet import MOST_WAITING, Outlet
from deduplab.sinks.sink import Sink


class Held(Sink):
    """Takes messages when it is let; nothing before."""

    name = "held"

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self.let = threading.Event()
        self.taken: list[Message] = []
        self.closed_with_s: float | None = None
        self._fault = fault

    def open(self) -> None:
        pass

    def _send(self, messages: Sequence[Message]) -> None:
        self.let.wait(60)
        if self._fault and messages:
            raise self._fault
        self.taken += messages
        self._got_rid_of(len(messages))

    def close(self, deadline_s: float) -> None:
        self.closed_with_s = deadline_s

    def sent(self) -> str:
        return f"{len(self.taken)} taken"


def message(number: int) -> Message:
    return {"type": "sampled", "number": number}


def test_all_messages_are_taken_in_order_and_the_sink_is_closed() -> None:
    sink = Held()
    outlet = Outlet(sink)
    for number in range(3_000):
        outlet.offer(message(number))
    sink.let.set()
    outlet.end(20)
    delivery = outlet.delivery()
    assert [one["number"] for one in sink.taken] == list(range(3_000))
    assert (delivery.told, delivery.lost, delivery.reason) == (3_000, 0, "")
    assert delivery.sent == "3000 taken"
    assert sink.closed_with_s is not None
    assert 0 < sink.closed_with_s <= 20


def test_what_is_too_much_is_lost_and_whoever_offers_it_does_not_wait() -> None:
    sink = Held()
    outlet = Outlet(sink)
    more = 700
    begun = time.monotonic()
    for number in range(MOST_WAITING + 1_000 + more):
        outlet.offer(message(number))
    assert time.monotonic() - begun < 20
    sink.let.set()
    outlet.end(30)
    delivery = outlet.delivery()
    assert delivery.lost + len(sink.taken) == delivery.told == MOST_WAITING + 1_000 + more
    assert more <= delivery.lost <= more + 1_000, "a batch at most was in the sink's hands"
    assert delivery.reason == "it took messages more slowly than they came"
    numbers = [one["number"] for one in sink.taken]
    assert numbers == sorted(numbers)


def test_with_room_to_wait_for_nothing_is_lost() -> None:
    sink = Held()
    outlet = Outlet(sink, room_s=60)
    threading.Timer(0.3, sink.let.set).start()
    for number in range(2 * MOST_WAITING):
        outlet.offer(message(number))
    outlet.end(30)
    assert outlet.delivery().lost == 0
    assert len(sink.taken) == 2 * MOST_WAITING


def test_a_sink_that_hangs_is_not_waited_for_beyond_its_deadline() -> None:
    sink = Held()
    outlet = Outlet(sink)
    for number in range(5):
        outlet.offer(message(number))
    time.sleep(0.2)  # it has some in its hands
    outlet.offer(message(5))
    begun = time.monotonic()
    outlet.end(0.3)
    delivery = outlet.delivery()
    assert time.monotonic() - begun < 10
    assert delivery.told == 6
    assert delivery.lost == 6
    assert delivery.reason
    sink.let.set()


def test_a_sink_that_fails_is_told_with_its_reason_and_keeps_nobody() -> None:
    sink = Held(ValueError("no such thing"))
    sink.let.set()
    outlet = Outlet(sink)
    for number in range(4):
        outlet.offer(message(number))
    outlet.end(5)
    delivery = outlet.delivery()
    assert delivery.lost == 4
    assert delivery.reason == "ValueError: no such thing"


def test_what_did_not_come_so_far_is_lost_to_the_sink_and_has_its_own_reason() -> None:
    sink = Held()
    sink.let.set()
    outlet = Outlet(sink)
    outlet.offer(message(0))
    outlet.miss(7)
    outlet.end(5)
    delivery = outlet.delivery()
    assert (delivery.told, delivery.lost) == (8, 7)
    assert delivery.reason == "7 found no room on the way to the relay"
