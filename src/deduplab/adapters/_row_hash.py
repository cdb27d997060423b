"""The hash of a row, computed by the user of a table that has one.

For SQLite, which has no hash function, and for MariaDB, so that the content goes
to the server once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


def row_hash(row: Sequence[Any]) -> bytes:
    """Return the SHA-256 of a row to send, each value with its type and length before it."""
    hashed = hashlib.sha256()
    for value in row:
        content = value if isinstance(value, bytes) else str(value).encode()
        hashed.update(b"%s %d " % (type(value).__name__.encode(), len(content)))
        hashed.update(content)
    return hashed.digest()
