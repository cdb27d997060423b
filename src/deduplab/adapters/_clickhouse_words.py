"""ClickHouse's words: its errors told apart, its literals written."""

from __future__ import annotations

import re
from typing import Final

from deduplab.errors import DeduplabError, OperationFailed, SystemUnavailable

_CODE: Final = re.compile(r"Code: (\d+)")
UNAVAILABLE_CODES: Final = frozenset({209, 210, 236, 425})
"""ClickHouse's error codes that may pass on a fresh instance: SOCKET_TIMEOUT, NETWORK_ERROR,
ABORTED, SYSTEM_ERROR; all others are failures."""


def translated(error: Exception) -> DeduplabError:
    """Return our error for the engine's: the one place where they are told apart."""
    if isinstance(error, UnicodeDecodeError):
        # chdb fails on its own message when that quotes binary data; the words are in it.
        words = error.object.decode("utf-8", "replace")
    else:
        words = str(error)
    said = " ".join(words.split())[:500] or "no reason given"
    found = _CODE.search(said)
    if found and int(found.group(1)) in UNAVAILABLE_CODES:
        return SystemUnavailable(f"clickhouse is going down: {said}")
    return OperationFailed(f"clickhouse refused: {said}")


def quoted(text: str) -> str:
    """Return a string literal of ClickHouse's SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
