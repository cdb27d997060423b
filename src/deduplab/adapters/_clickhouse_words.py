"""ClickHouse's words: its errors told apart, its literals written."""

from __future__ import annotations

import re
from typing import Final

from deduplab.adapters._rights import advice
from deduplab.errors import DeduplabError, DiskSpaceError, OperationFailed, SystemUnavailable

_CODE: Final = re.compile(r"Code: (\d+)")
UNAVAILABLE_CODES: Final = frozenset({209, 210, 236, 425})
"""ClickHouse's error codes that may pass on a fresh instance: SOCKET_TIMEOUT, NETWORK_ERROR,
ABORTED, SYSTEM_ERROR; all others are failures."""
LOGIN_CODES: Final = frozenset({192, 193, 194, 516})
"""Codes of a user or password that is not taken: UNKNOWN_USER, WRONG_PASSWORD,
REQUIRED_PASSWORD, AUTHENTICATION_FAILED."""
_ACCESS_DENIED: Final = 497
_NOT_ENOUGH_SPACE: Final = 243


def translated(error: Exception) -> DeduplabError:
    """Return our error for the engine's: the one place where they are told apart."""
    if isinstance(error, UnicodeDecodeError):
        # chdb fails on its own message when that quotes binary data; the words are in it.
        words = error.object.decode("utf-8", "replace")
    else:
        words = str(error)
    said = " ".join(words.split())[:500] or "no reason given"
    code = code_of(said)
    if code in UNAVAILABLE_CODES:
        return SystemUnavailable(f"clickhouse is going down: {said}")
    if code == _NOT_ENOUGH_SPACE:
        return DiskSpaceError(f"clickhouse's disk is full; free some of it: {said}")
    if code == _ACCESS_DENIED:
        said = f"{said}; {advice('clickhouse')}"
    return OperationFailed(f"clickhouse refused: {said}")


def code_of(words: str) -> int:
    """Return the code in an error's words; 0 without one."""
    found = _CODE.search(words)
    return int(found.group(1)) if found else 0


def quoted(text: str) -> str:
    """Return a string literal of ClickHouse's SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
