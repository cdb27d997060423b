"""Who of a Kafka's followers counts as a copy, and who is behind, by what each tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

from deduplab.adapters._kafka_answer import Partition
from deduplab.adapters._kafka_followers import Followers
from deduplab.adapters._kafka_wire import END, FIRST
from deduplab.errors import OperationFailed, ProbeError, SystemUnavailable
from deduplab.server import Endpoint

TOPICS = ("objects", "marker")
ALL = {"objects": (5, 100), "marker": (0, 1)}


class _Broker:
    """A broker that tells where its logs begin and end, or raises."""

    def __init__(
        self,
        ends: dict[str, tuple[int, int]] | None = None,
        in_sync: tuple[int, ...] = (1, 2, 3),
        error: Exception | None = None,
    ) -> None:
        self.ends = ALL | (ends or {})
        self.in_sync = in_sync
        self.error = error
        self.bytes = 1000

    def offsets(self, topics: Any, at: int) -> dict[str, int]:
        if self.error is not None:
            raise self.error
        return {topic: self.ends[topic][(FIRST, END).index(at)] for topic in topics}

    def log_bytes(self, topics: Any) -> dict[str, int]:
        if self.error is not None:
            raise self.error
        return dict.fromkeys(topics, self.bytes)

    def partition(self, topic: str) -> Partition:
        return Partition(0, self.in_sync)


def followers_of(*brokers: Any) -> Followers:
    addresses = {node: ("127.0.0.1", node) for node in range(2, 2 + len(brokers))}
    found = Followers(addresses, Endpoint())
    found._wires = dict(zip(addresses, brokers, strict=True))
    return found


SILENT = _Broker(error=SystemUnavailable("does not answer"))
WITHOUT_LOG = _Broker(error=OperationFailed("no such log"))


@pytest.mark.parametrize(
    ("second", "copies", "behind"),
    [
        (_Broker(), 3, 0),
        (_Broker({"objects": (5, 99)}), 2, 1),
        (_Broker({"marker": (0, 0)}), 2, 1),
        (_Broker({"objects": (6, 100)}), 2, 1),  # it lacks the first message
        (_Broker({"objects": (0, 100)}), 3, 1),  # it has yet to forget some
        (SILENT, 2, 1),
        (WITHOUT_LOG, 2, 1),
    ],
)
def test_a_copy_is_who_has_all_that_the_leader_has(
    second: _Broker, copies: int, behind: int
) -> None:
    leader: Any = _Broker()
    followers = followers_of(_Broker(), second)
    assert followers.copies(leader, TOPICS) == copies
    assert followers.signals(leader, TOPICS)["replicas_behind"] == behind


def test_who_is_out_of_sync_is_behind_though_it_has_all() -> None:
    leader: Any = _Broker(in_sync=(1, 3))
    followers = followers_of(_Broker(), _Broker())
    assert followers.signals(leader, TOPICS)["replicas_behind"] == 1
    assert followers.copies(leader, TOPICS) == 3


def test_a_log_that_is_cleaned_on_a_follower_alone_is_seen() -> None:
    leader: Any = _Broker()
    cleaning = _Broker()
    followers = followers_of(_Broker(), cleaning)
    assert followers.signals(leader, TOPICS)["changing_replicas"] == 2  # the first look
    assert followers.signals(leader, TOPICS) == {"replicas_behind": 0, "changing_replicas": 0}
    cleaning.bytes = 500
    assert followers.signals(leader, TOPICS) == {"replicas_behind": 0, "changing_replicas": 1}


def test_without_followers_nothing_is_told_and_nothing_set() -> None:
    leader: Any = _Broker()
    followers = followers_of()
    assert not followers
    assert followers.signals(leader, TOPICS) == {}
    assert followers.copies(leader, TOPICS) == 1
    assert followers.settings() == {}
    assert followers.described() == {}


def test_as_many_must_be_in_sync_as_there_are() -> None:
    assert followers_of(_Broker(), _Broker()).settings() == {"min.insync.replicas": "3"}


def test_without_the_leader_no_copies_can_be_told() -> None:
    leader: Any = SILENT
    with pytest.raises(ProbeError, match="leader"):
        followers_of(_Broker()).copies(leader, TOPICS)
