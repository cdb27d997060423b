"""Events on their way: whole or lost, and nobody waits."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from deduplab.event import CellBegan, CellName, Event, Marked, RunBegan, Sampled, decoded, encoded
from deduplab.feed import LARGEST_BYTES, Feed
from deduplab.sinks.message import Context

NAME = CellName(
    "c1", "sqlite", "default", "blob", "text_document", 50, "shuffled", "none", None, 1, 1, 2
)


def sampled(number: int, **values: float) -> Sampled:
    return Sampled(number, "c1", number, values)


def test_an_event_arrives_as_it_was() -> None:
    events: list[Event] = [
        RunBegan(1, "r", "p", 3, 1),
        CellBegan(2, NAME, 1),
        Marked(3, "c1", 0, "bulk"),
        sampled(4, files_allocated_bytes=4096.0),
    ]
    feed, end = Feed.pair()
    with end, closing(feed):
        for event in events:
            feed.tell(event)
        assert [decoded(end.recv(LARGEST_BYTES)) for _ in events] == events
        assert feed.losses.take() == 0
        feed.close()
        assert end.recv(LARGEST_BYTES) == b"", "all have closed it"


def test_what_nobody_takes_is_lost_at_once_and_counted() -> None:
    feed, end = Feed.pair()
    with end, closing(feed):
        begun = time.monotonic()
        told = 20_000
        for number in range(told):
            feed.tell(sampled(number, a=1.0))
        assert time.monotonic() - begun < 10, "it never waited for room"
        lost = feed.losses.take()
        feed.close()
        taken = []
        while content := end.recv(LARGEST_BYTES):
            taken.append(decoded(content))
    assert taken
    assert lost == told - len(taken) > 0
    assert taken == [sampled(number, a=1.0) for number in range(len(taken))]


def test_an_event_waits_for_room_if_it_may() -> None:
    feed, end = Feed.pair()
    with end, closing(feed):
        while not feed.losses.take():
            feed.tell(sampled(0, a=1.0))
        taker = threading.Timer(0.2, lambda: [end.recv(LARGEST_BYTES) for _ in range(10)])
        taker.start()
        feed.tell(sampled(1), wait_s=0.5)
        taker.join()
        assert feed.losses.take() == 0


@pytest.mark.parametrize("gone", [True, False])
def test_whoever_tells_outlives_whoever_reads(gone: bool) -> None:
    feed, end = Feed.pair()
    with end, closing(feed):
        if gone:
            end.close()
        else:
            end.shutdown(socket.SHUT_RD)
        feed.tell(sampled(0))
        feed.tell(sampled(1), wait_s=0.05)
        assert feed.losses.take() == 2


def test_an_event_that_is_too_long_is_lost_and_the_next_is_not() -> None:
    feed, end = Feed.pair()
    with end, closing(feed):
        feed.tell(RunBegan(1, "r" * (1 << 22), "p", 1, 0))
        feed.tell(RunBegan(2, "r", "p", 1, 0))
        assert feed.losses.take() == 1
        assert decoded(end.recv(LARGEST_BYTES)) == RunBegan(2, "r", "p", 1, 0)


def test_a_message_says_run_cell_and_stage() -> None:
    context = Context()
    told = [
        context.message(decoded(encoded(event)))
        for event in (
            RunBegan(1, "r1", "p1", 3, 1),
            CellBegan(2, NAME, 1),
            Marked(3, "c1", -1, "baseline"),
            sampled(4, a=1.0),
            Marked(5, "c1", 0, "bulk"),
            Marked(6, "c1", 0, "flush"),
            sampled(7, a=2.0),
            Marked(8, "c1", 1, "cold-read"),
            Marked(9, "c1", 1, "restart"),
            Marked(10, "c1", 1, "operations"),
            Marked(11, "c1", -1, "end"),
        )
    ]
    assert {(one["run"], one["plan"]) for one in told} == {("r1", "p1")}
    assert {(one["system"], one["grade_percent"]) for one in told[1:]} == {("sqlite", 50)}
    assert [(one["stage"], one["phase"]) for one in told[2:]] == [
        ("", "baseline"),
        ("", "baseline"),
        ("bulk", "operations"),
        ("bulk", "flush"),
        ("bulk", "flush"),
        ("cold-read", "operations"),
        ("cold-read", "restart"),
        ("cold-read", "operations"),
        ("", "end"),
    ]
    assert told[6]["values"] == {"a": 2.0}
    assert told[6]["type"] == "sampled"
    assert "name" not in told[1]


def _flood(feed: Feed, told: int) -> None:
    for number in range(told):
        feed.tell(sampled(number, a=1.0))


@pytest.mark.parametrize("way", ["fork", "forkserver", "spawn"])
def test_what_processes_lost_is_one_number_also_if_one_is_killed(way: str) -> None:
    """As cells are begun by a fork server, and tracers are forked from them."""
    feed, end = Feed.pair()
    context: Any = multiprocessing.get_context(way)
    told = 3_000
    with end, closing(feed):
        _flood(feed, told)
        processes = [context.Process(target=_flood_and_die, args=(feed, told)) for _ in range(2)]
        for one in processes:
            one.start()
        for one in processes:
            one.join(60)
            assert one.exitcode == -signal.SIGKILL
        lost = feed.losses.take()
        feed.close()
        arrived = 0
        while end.recv(LARGEST_BYTES):
            arrived += 1
    assert lost + arrived == 3 * told
    assert arrived < told


def _flood_and_die(feed: Feed, told: int) -> None:
    _flood(feed, told)
    os.kill(os.getpid(), signal.SIGKILL)
