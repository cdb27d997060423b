"""Explicit maintenance of a log, by settings of its topic: dropping segments, and compaction.

The broker's cleaner and its retention work on their own; no request starts
them, and none tells when they are done. Both are brought about by settings,
and their end is seen in the log itself. Source: Apache Kafka documentation,
"Log Compaction", "Topic Configs"; KIP-534 (tombstones are removed by the
second pass that meets them).

Every broker drops and cleans its own copy, so each is waited for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from deduplab.adapters._kafka_log import KafkaLog
from deduplab.adapters._kafka_topics import CLEANING, EXPIRING
from deduplab.errors import OperationFailed

_EXPIRY_S: Final = 120.0
_PASS_S: Final = (0.3, 2.0, 20.0, 120.0)
_SPACING_MS: Final = 10


def drop_segments(log: KafkaLog) -> None:
    """Have the broker drop all segments of a log whose records were all deleted, and wait.

    Raises
    ------
    OperationFailed
        If they are not gone by the deadline.
    """
    client, topic = log.client, log.topic
    with client.altered(topic, EXPIRING):
        client.wait_until(
            lambda: client.everywhere(lambda wire: wire.log_bytes([topic]).get(topic) == 0),
            f"{topic}, removal of its segments",
            _EXPIRY_S,
        )


def clean(log: KafkaLog) -> None:
    """Close the active segment, have the cleaner go over all others, twice, and wait.

    Its first pass removes what has a later message of the same key, the second
    the tombstones that the first one found to be the last of theirs.

    Raises
    ------
    OperationFailed
        If the cleaner has not been there by the deadline.
    """
    with log.client.altered(log.topic, CLEANING):
        _one_pass(log)
        _one_pass(log)


def _one_pass(log: KafkaLog) -> None:
    """Wait for one pass of the cleaner over everything that is there now.

    Of three tombstones of one key, each opens a new segment. The first is
    superseded by the second, so a pass that went up to there removes it. It
    lies behind all other messages, and segments are replaced in order: when it
    is gone, the pass is over. On a follower it is gone when no message of its time
    lies where it lay: all before it are older.
    """
    for deadline_s in _PASS_S:
        now_ms = round(datetime.now(UTC).timestamp() * 1000)
        first, _, last = (log.mark(now_ms + number * _SPACING_MS) for number in range(3))
        # New settings reach the log a little after they are told: then it is done again.
        if log.client.is_soon(partial(_is_gone, log, first, now_ms), deadline_s):
            return
    raise OperationFailed(
        f"kafka, {log.topic}: the cleaner did not come to message {last} in {_PASS_S[-1]:g} s"
    )


def _is_gone(log: KafkaLog, offset: int, at_ms: int) -> bool:
    """Whether the message at an offset, which had this time, is on no broker any more."""
    return log.reader.is_gone(offset) and log.client.followers.all(
        lambda wire: wire.offsets([log.topic], at_ms)[log.topic] > offset
    )
