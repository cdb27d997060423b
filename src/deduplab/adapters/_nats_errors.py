"""What NATS and JetStream refuse, in our errors: one table, by the codes that the server gives.

Source: NATS documentation, "NATS Protocol" (``-ERR``, status headers), and the server's
list of JetStream error codes (``err_code``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from deduplab.adapters._rights import advice
from deduplab.errors import DeduplabError, DiskSpaceError, OperationFailed, SystemUnavailable

STREAM_NOT_FOUND: Final = 10059
STREAM_NAME_IN_USE: Final = 10058
STORE_FAILED: Final = 10077
"""A message was not stored; the words say why."""

SUBJECT_IS_TAKEN: Final = "maximum messages per subject exceeded"
"""Why: its subject has a message already, and the stream keeps one of each."""

_DISK: Final = (10023, 10047)
"""Insufficient resources; insufficient storage resources."""

_PASSING: Final = (10008, 10009, 10167)
"""JetStream can't be used now: temporarily unavailable, no leader, too many requests."""

_NO_LOGIN: Final = ("Authorization Violation", "Authentication", "User Authentication")
_DENIED: Final = "Permissions Violation"


class LoginTaken(OperationFailed):
    """The server said that it does not take user or secret; told as a refused login."""


def refused(what: str, error: Mapping[str, Any]) -> DeduplabError:
    """Return our error for the member ``error`` of an answer of JetStream.

    Parameters
    ----------
    what
        What was asked for, for the message.
    """
    code, words = error.get("err_code"), error.get("description", "no reason given")
    if code in _DISK:
        return DiskSpaceError(
            f"nats: {what}: JetStream has no room left ({words}); free some of its disk, or raise "
            "max_file_store"
        )
    if code in _PASSING:
        return SystemUnavailable(f"nats: {what}: JetStream can't be used now: {words}")
    return OperationFailed(f"nats: {what}: the server refused: {words} (err_code {code})")


def told(words: str) -> DeduplabError:
    """Return our error for the words of ``-ERR``."""
    said = words.strip().strip("'")
    if said.startswith(_NO_LOGIN):
        return LoginTaken(said)
    if said.startswith(_DENIED):
        return OperationFailed(f"nats: the server refused: {said}; {advice('nats')}")
    return SystemUnavailable(f"nats: the server gave the connection up: {said}")


def nobody(subject: bytes) -> DeduplabError:
    """Return our error for a request that nobody answers (status 503, no responders)."""
    asked = subject.decode()
    if asked.startswith("$SYS."):
        return OperationFailed(
            f"nats: {asked} is not answered: this account imports nothing of the system account's, "
            f"so settings and state of the server can't be seen; {advice('nats')}"
        )
    return OperationFailed(
        f"nats: {asked} is not answered: JetStream is off, or not enabled for this account, or the "
        f"stream is gone; {advice('nats')}"
    )
