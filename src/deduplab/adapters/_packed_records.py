"""Records as MessagePack: how a store of bytes keeps a record, the way its user would serialise it.

A value is one MessagePack array of a record's fields, in their order. Integers,
floats, booleans, text, bytes and NULL are MessagePack's own; decimals, UUIDs and
JSON documents are text, timestamps integers (microseconds). In the layout blob a
value is the payload itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from deduplab.adapters._layout import Layout
from deduplab.batch import Batch
from deduplab.record import FieldType, Stored

_TYPES: Final[Mapping[FieldType, Any]] = {
    FieldType.BYTES: bytes,
    FieldType.INTEGER: int,
    FieldType.FLOAT: float,
    FieldType.DECIMAL: Decimal,
    FieldType.BOOLEAN: bool,
    FieldType.TIMESTAMP: int,
}


@dataclass(frozen=True, slots=True)
class PackedRecords:
    """How what an adapter is given becomes a value of bytes, and back.

    Parameters
    ----------
    encode, decode
        Of records; None in the layout blob, where a value is the payload.
    """

    encode: Callable[[Any], bytes] | None = None
    decode: Callable[[bytes], Stored] | None = None

    @classmethod
    def of(cls, layout: Layout) -> PackedRecords:
        """Return the packing of a layout."""
        if not layout.is_native:
            return cls()
        return cls(msgspec.msgpack.Encoder().encode, _decoder_of(layout).decode)

    def value(self, stored: Any) -> bytes:
        """Return the value of one object."""
        value: bytes = stored if self.encode is None else self.encode(stored)
        return value

    def values(self, batch: Batch) -> Iterable[bytes]:
        """Return the values of a batch; what was prepared before the clock is used as it is."""
        return batch.payloads if self.encode is None else map(self.encode, batch.records)

    def stored(self, value: bytes | None) -> Stored | None:
        """Return the payload or record of a value that was read; None stays None."""
        return value if value is None or self.decode is None else self.decode(value)


def _decoder_of(layout: Layout) -> msgspec.msgpack.Decoder[Any]:
    """Return what reads a MessagePack array of these fields, each as its own type."""
    types = (_TYPES.get(field.type, str) for field in layout.fields)
    nullable = zip(types, layout.fields, strict=True)
    wanted = tuple(t | None if field.nullable else t for t, field in nullable)
    return msgspec.msgpack.Decoder(tuple.__class_getitem__(wanted))
