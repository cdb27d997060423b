"""Records: a payload taken apart into typed fields, the way a user would store it natively.

A record's logical bytes are its canonical serialisation, which is the payload
of the blob layout: so blob and native store the same information, and compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = str | bytes | int | float | bool | Decimal | None
Record: TypeAlias = tuple[Value, ...]
Stored: TypeAlias = bytes | Record
"""What an adapter stores under a key: the payload (layout blob) or its record (native)."""


class FieldType(StrEnum):
    """The types of fields, each with the Python type of its values.

    ``TEXT`` str without NUL; ``BYTES`` bytes; ``INTEGER`` int of 64 bits, signed;
    ``FLOAT`` float (IEEE 754 double, finite); ``DECIMAL`` ``decimal.Decimal`` with
    18 digits of which ``Field.scale`` follow the point; ``BOOLEAN`` bool;
    ``TIMESTAMP`` int, microseconds since 1970-01-01 UTC; ``UUID`` str of 36 lower-case
    characters; ``JSON`` str, a JSON document in canonical form (keys sorted by
    code point, no spaces, non-ASCII characters as they are).
    """

    TEXT = "text"
    BYTES = "bytes"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    UUID = "uuid"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Field:
    """One typed field; ``name`` is a lower-case identifier and never ``key``."""

    name: str
    type: FieldType
    nullable: bool = False
    scale: int = 0


@dataclass(frozen=True, slots=True)
class RecordType:
    """The record of a payload family.

    Parameters
    ----------
    name
        The family's name.
    fields
        In the order of the values of a record; at least one.
    content_type
        Media type of the canonical serialisation (``application/json``, ...).
    parse
        From canonical bytes to a record; never under the clock.
    serialise
        Back to the same canonical bytes, from what a system returned. Values of
        ``JSON`` may come back with other spacing and key order.
    """

    name: str
    fields: tuple[Field, ...]
    content_type: str
    parse: Callable[[bytes], Record]
    serialise: Callable[[Record], bytes]

    def canonical(self, stored: Stored) -> bytes:
        """Return the canonical bytes of what a system returned, in either layout."""
        return self.serialise(stored) if isinstance(stored, tuple) else stored
