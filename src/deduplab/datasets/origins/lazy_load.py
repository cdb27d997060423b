"""R's lazy-load data base: an index (``.rdx``) and records (``.rdb``), read for its texts.

The index is a compressed R value: for each variable its offset and length in
the records. Each record is its length as 4 bytes, then a zlib stream of one R
value in XDR form (R Internals, "Serialization Formats"). Only what texts need
is read: lists, integers, strings and their attributes.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Final, TypeAlias

from deduplab.errors import DatasetError

RValue: TypeAlias = "str | list[int] | list[RValue] | dict[str, RValue] | None"

_NIL_VALUE: Final = 254
_REFERENCE: Final = 255
_SYMBOL: Final = 1
_PAIR_LIST: Final = 2
_CHARACTERS: Final = 9
_LOGICAL: Final = 10
_INTEGER: Final = 13
_STRING: Final = 16
_LIST: Final = 19
_HAS_ATTRIBUTES: Final = 0x200
_HAS_TAG: Final = 0x400
_NO_VALUE_BYTES: Final = -1


def text_lines(index: bytes, records: bytes, variable: str) -> list[str]:
    """Return a variable that is a vector of strings.

    Raises
    ------
    DatasetError
        If it is not there, or is not such a vector.
    """
    try:
        found = _Reader(gzip.decompress(index)).value()
        variables = found["variables"] if isinstance(found, dict) else None
        where = variables[variable] if isinstance(variables, dict) else None
        assert isinstance(where, list)
        offset, length_bytes = where
        assert isinstance(offset, int)
        assert isinstance(length_bytes, int)
        record = zlib.decompress(records[offset + 4 : offset + length_bytes])
        value = _Reader(record).value()
        lines = value if isinstance(value, list) else []
    except (AssertionError, KeyError, ValueError, IndexError, OSError, EOFError) as error:
        raise DatasetError(f"no text {variable!r} in this R data base ({error})") from error
    except (zlib.error, struct.error) as error:
        raise DatasetError(f"this R data base is damaged ({error})") from error
    return [line for line in lines if isinstance(line, str)]


class _Reader:
    """Reads one value of R's XDR serialisation, versions 2 and 3."""

    def __init__(self, data: bytes) -> None:
        if data[:2] != b"X\n":
            raise ValueError("not an XDR serialisation")
        self._data = data
        self._place = 2
        self._symbols: list[RValue] = []
        version = self._integer()
        self._skip(8)
        if version == 3:
            self._skip(self._integer())

    def value(self) -> RValue:
        """Read the next value, with all that is in it."""
        flags = self._integer()
        kind = flags & 0xFF
        if kind == _NIL_VALUE:
            return None
        if kind == _REFERENCE:
            return self._symbols[(flags >> 8) - 1]
        if kind == _SYMBOL:
            name = self.value()
            self._symbols.append(name)
            return name
        if kind == _PAIR_LIST:
            return self._pairs(flags)
        if kind == _CHARACTERS:
            return self._characters()
        if kind in (_LOGICAL, _INTEGER):
            count = self._integer()
            numbers = list(struct.unpack_from(f">{count}i", self._data, self._skip(4 * count)))
            self._attributes(flags)
            return numbers
        if kind in (_STRING, _LIST):
            values = [self.value() for _ in range(self._integer())]
            names = self._attributes(flags).get("names")
            if isinstance(names, list):
                return dict(zip((str(name) for name in names), values, strict=True))
            return values
        raise ValueError(f"a value of R's kind {kind} is not a text")

    def _characters(self) -> str | None:
        length_bytes = self._integer()
        if length_bytes == _NO_VALUE_BYTES:
            return None
        start = self._skip(length_bytes)
        return self._data[start : start + length_bytes].decode()

    def _attributes(self, flags: int) -> dict[str, RValue]:
        found = self.value() if flags & _HAS_ATTRIBUTES else None
        return found if isinstance(found, dict) else {}

    def _pairs(self, flags: int) -> dict[str, RValue]:
        """Read a pair list: attributes by name."""
        found: dict[str, RValue] = {}
        while flags & 0xFF == _PAIR_LIST:
            if flags & _HAS_ATTRIBUTES:
                self.value()
            name = self.value() if flags & _HAS_TAG else None
            found[str(name)] = self.value()
            flags = self._integer()
        return found

    def _integer(self) -> int:
        number: int = struct.unpack_from(">i", self._data, self._skip(4))[0]
        return number

    def _skip(self, length_bytes: int) -> int:
        """Return where the reader stands, and go on by so many bytes."""
        start = self._place
        self._place += length_bytes
        if length_bytes < 0 or self._place > len(self._data):
            raise ValueError("the data ends too early")
        return start
