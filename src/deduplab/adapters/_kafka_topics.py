"""How Kafka's variants keep objects: topics, their settings, what maintenance changes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TOPIC_PREFIX: Final = "deduplab."
"""Every topic of the lab begins with it, so that a user's rights can end there."""

MOST_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""The largest batch, and so the largest object: it must fit into one segment."""

_FOREVER: Final = {"retention.ms": "-1", "retention.bytes": "-1"}
_LARGE: Final = {"max.message.bytes": str(MOST_MESSAGE_BYTES)}
_DELETE: Final = {"cleanup.policy": "delete", **_FOREVER, **_LARGE}
# "delete" beside "compact" allows DeleteRecords; nothing expires, since retention has no limit.
_COMPACT: Final = {
    "cleanup.policy": "compact,delete",
    "segment.bytes": str(MOST_MESSAGE_BYTES),
    "delete.retention.ms": "0",
    **_FOREVER,
    **_LARGE,
}
_DURABILITY: Final[Mapping[str, Mapping[str, str]]] = {
    "fsync": {"flush.messages": "1"},
    "interval": {"flush.ms": "200"},
    "none": {},
}
DURABILITIES: Final = tuple(_DURABILITY)

MARKER_SETTINGS: Final = {"cleanup.policy": "delete", **_FOREVER, "flush.messages": "1"}

EXPIRING: Final = {"retention.ms": "1"}
"""What makes the broker drop a log whose records were all deleted."""

CLEANING: Final = {"min.cleanable.dirty.ratio": "0", "segment.ms": "1"}
"""What makes the cleaner take a log up however little of it is dirty, and segments short."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one variant keeps objects.

    Parameters
    ----------
    compacted
        Whether the cleaner keeps the last message of each key, or all stay.
    by_hash
        Whether payloads are keyed by their hash, and a second topic refers to them.
    compression
        What the producer compresses its batches with.
    """

    compacted: bool = False
    by_hash: bool = False
    compression: str = "none"

    @property
    def parts(self) -> tuple[str, ...]:
        """The last words of the names of its topics."""
        return ("payloads", "references") if self.by_hash else ("objects",)

    def settings(self, durability: str) -> dict[str, str]:
        """Return the settings of its topics that differ from the product's defaults."""
        base = _COMPACT if self.compacted else _DELETE
        return {**base, **_DURABILITY[durability]}


SCHEMES: Final[Mapping[str, Scheme]] = {
    "delete-policy": Scheme(),
    "delete-policy-lz4": Scheme(compression="lz4"),
    "delete-policy-zstd": Scheme(compression="zstd"),
    "compact-by-key": Scheme(compacted=True),
    "compact-by-hash": Scheme(compacted=True, by_hash=True),
}
"""What each variant is; the first is the default."""


def topic_name(namespace: str, part: str) -> str:
    """Return the name of a namespace's topic.

    No two namespaces share a name, and none differ by a dot for an underscore alone
    (which Kafka refuses): a namespace has no dots, and the parts are few fixed words.
    """
    return f"{TOPIC_PREFIX}{namespace}.{part}"
