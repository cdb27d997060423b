"""How NATS' variants keep objects: streams, their settings, and what subjects are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from deduplab.errors import OperationFailed

SUBJECT_ROOT: Final = "deduplab"
"""Every subject of the lab begins with this token, so that a user's rights can end there."""

OBJECTS: Final = "objects"
PAYLOADS: Final = "payloads"
REFERENCES: Final = "references"
PARTS: Final = (OBJECTS, PAYLOADS, REFERENCES)
"""The last words of the names of a namespace's streams."""

_SECOND_NS: Final = 10**9
_DAY_NS: Final = 24 * 3600 * _SECOND_NS
SHORTEST_WINDOW_NS: Final = _SECOND_NS // 10
"""The least that the server takes."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_/=+-]+")
_SAFE: Final = "_/=+-"
_EMPTY: Final = b"%"
_MOST_TOKEN_BYTES: Final = 3000
"""A line of the protocol has 4096 bytes, and the reply's subject stands in it too."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one variant keeps objects.

    Parameters
    ----------
    compression
        What the server compresses a full block of a stream with.
    by_hash
        Whether payloads lie in a stream of their own under their hash, and another refers to them.
    window_ns
        For how long the server knows a message's id (``Nats-Msg-Id``); 0 gives messages none,
        and a payload is refused because its subject has a message.
    """

    compression: str = "none"
    by_hash: bool = False
    window_ns: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The streams that it has."""
        return (PAYLOADS, REFERENCES) if self.by_hash else (OBJECTS,)

    def settings(self, part: str) -> dict[str, Any]:
        """Return the settings of a stream that differ from the product's defaults."""
        settings: dict[str, Any] = {
            "storage": "file",
            "retention": "limits",
            "num_replicas": 1,
            "allow_direct": True,
            "compression": self.compression,
        }
        if part == PAYLOADS and self.window_ns:
            return settings | {"duplicate_window": self.window_ns}
        # One message a subject, and another one is refused: an object is never replaced.
        one = {"discard": "new", "discard_new_per_subject": True, "max_msgs_per_subject": 1}
        return settings | one


SCHEMES: Final[Mapping[str, Scheme]] = {
    "default": Scheme(),
    "s2": Scheme(compression="s2"),
    "unique-content": Scheme(by_hash=True, window_ns=_DAY_NS),
    "unique-content-short": Scheme(by_hash=True, window_ns=SHORTEST_WINDOW_NS),
    "unique-content-by-subject": Scheme(by_hash=True),
}
"""What each variant is; the first is the default."""


def stream_name(namespace: str, part: str) -> str:
    """Return the name of a namespace's stream; no two namespaces share one."""
    return f"{SUBJECT_ROOT}-{namespace}-{part}"


def subject_prefix(namespace: str, part: str) -> bytes:
    """Return what the subjects of a stream begin with, up to the last token."""
    return f"{SUBJECT_ROOT}.{namespace}.{part}.".encode()


def token(key: str) -> bytes:
    """Return a key as one token of a subject: others than a few letters as ``%41``.

    No two keys share one; dots, blanks and wildcards would not be part of a token.

    Raises
    ------
    OperationFailed
        If it is longer than a subject may be.
    """
    if _PLAIN.fullmatch(key):
        found = key.encode()
    else:
        found = quote(key, _SAFE).replace(".", "%2E").replace("~", "%7E").encode() or _EMPTY
    if len(found) > _MOST_TOKEN_BYTES:
        raise OperationFailed(
            f"nats: a key of {len(found)} bytes is longer than a subject may be "
            f"({_MOST_TOKEN_BYTES} here)"
        )
    return found


def tokens(keys: Sequence[str]) -> list[bytes]:
    """Return keys as tokens; all at once where none needs more than letters and digits."""
    if all(keys) and _PLAIN.fullmatch("".join(keys)) and max(map(len, keys)) < _MOST_TOKEN_BYTES:
        return "\n".join(keys).encode().split(b"\n")
    return [token(key) for key in keys]
