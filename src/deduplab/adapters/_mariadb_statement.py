"""Prepared statements of Connector/C: a row at a time, and many rows by its bulk protocol.

Columns of a bulk are laid out by ``_mariadb_bulk``. Sources: MariaDB Knowledge Base, "Bulk Insert
(Column-wise Binding)", "MYSQL_BIND", "COM_STMT_BULK_EXECUTE".
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy.typing as npt

from deduplab.adapters._mariadb_bulk import BulkColumn, Kind, cuts
from deduplab.adapters._mariadb_connector import Connection, translated
from deduplab.errors import DeduplabError

_ATTR_ARRAY_SIZE: Final = 201
_NO_DATA: Final = 100
_FIRST_BUFFER_BYTES: Final = 64 * 1024


class _Bind(ctypes.Structure):
    """``MYSQL_BIND`` (mariadb_stmt.h), the same in all of Connector/C 3."""

    _fields_ = (
        ("length", ctypes.c_void_p),
        ("is_null", ctypes.c_void_p),
        ("buffer", ctypes.c_void_p),
        ("error", ctypes.c_void_p),
        ("indicator", ctypes.c_void_p),
        ("store_param", ctypes.c_void_p),
        ("fetch_result", ctypes.c_void_p),
        ("skip_result", ctypes.c_void_p),
        ("buffer_length", ctypes.c_ulong),
        ("offset", ctypes.c_ulong),
        ("length_value", ctypes.c_ulong),
        ("flags", ctypes.c_uint),
        ("pack_length", ctypes.c_uint),
        ("buffer_type", ctypes.c_int),
        ("error_value", ctypes.c_char),
        ("is_unsigned", ctypes.c_char),
        ("long_data_used", ctypes.c_char),
        ("is_null_value", ctypes.c_char),
        ("extension", ctypes.c_void_p),
    )


class _Slot:
    """Where one parameter or one result lies, for as long as the statement lives."""

    def __init__(self, bind: _Bind, kind: Kind) -> None:
        self.kind = kind
        self.has_length = kind.has_length
        self.length = ctypes.c_ulong(0)
        self.null = ctypes.c_byte(0)
        self.is_null = False
        self.number: Any = ctypes.c_double() if kind is Kind.FLOAT else ctypes.c_longlong()
        self.room_bytes = 0
        self._bind = bind
        bind.buffer_type = kind.value
        bind.length = ctypes.addressof(self.length)
        bind.is_null = ctypes.addressof(self.null)
        if kind.has_length:
            self.grow(_FIRST_BUFFER_BYTES)
        else:
            bind.buffer = ctypes.addressof(self.number)
            bind.buffer_length = 8

    def grow(self, length_bytes: int) -> None:
        """Make room for a longer value."""
        self.room_bytes = length_bytes
        self._buffer = ctypes.create_string_buffer(length_bytes)
        self.address = ctypes.addressof(self._buffer)
        self._bind.buffer = self.address
        self._bind.buffer_length = length_bytes

    def put(self, value: Any) -> bool:
        """Take a parameter's value; return whether the slot had to grow."""
        if value is None or self.is_null:
            self.is_null = value is None
            self.null.value = self.is_null
            if self.is_null:
                return False
        if not self.has_length:
            self.number.value = value
            return False
        length_bytes = len(value)
        grown = length_bytes > self.room_bytes
        if grown:
            self.grow(length_bytes)
        ctypes.memmove(self.address, value, length_bytes)
        self.length.value = length_bytes
        return grown


class Statement:
    """A statement that the server has prepared.

    Parameters
    ----------
    connection
        Where it is prepared.
    text
        The statement; ``?`` is a parameter.
    parameters, results
        How its parameters and the columns of its result travel.
    """

    def __init__(
        self,
        connection: Connection,
        text: str,
        parameters: Sequence[Kind],
        results: Sequence[Kind] = (),
    ) -> None:
        self._library = connection.library
        self._handle = self._library.mysql_stmt_init(connection.handle)
        encoded = text.encode()
        if self._library.mysql_stmt_prepare(self._handle, encoded, len(encoded)):
            raise self._error()
        self._parameters = (_Bind * len(parameters))()
        self._results = (_Bind * max(1, len(results)))()
        self._in = [_Slot(b, kind) for b, kind in zip(self._parameters, parameters, strict=True)]
        self._out = [_Slot(bind, kind) for bind, kind in zip(self._results, results, strict=False)]
        self._bound_for_rows = False
        if results:
            self._check(self._library.mysql_stmt_bind_result, self._results)

    def close(self) -> None:
        """Let the server forget the statement; to be called while the connection stands."""
        self._library.mysql_stmt_close(self._handle)

    def execute(self, values: Sequence[Any]) -> None:
        """Run it with one row of parameters."""
        bound = self._bound_for_rows
        for slot, value in zip(self._in, values, strict=True):
            if slot.put(value):
                bound = False
        if not bound:
            self._bind_rows()
        if self._library.mysql_stmt_execute(self._handle):
            raise self._error()

    def affected_rows(self) -> int:
        """Return how many rows the last execution changed."""
        return int(self._library.mysql_stmt_affected_rows(self._handle))

    def fetch_one(self) -> list[Any] | None:
        """Return the first row of the result and drop the others; None without a row."""
        try:
            answer = self._library.mysql_stmt_fetch(self._handle)
            if answer == _NO_DATA:
                return None
            if answer == 1:
                raise self._error()
            rooms = [slot.room_bytes for slot in self._out]
            values = [self._fetched(place, slot) for place, slot in enumerate(self._out)]
            if rooms != [slot.room_bytes for slot in self._out]:
                # The statement keeps a copy of its binds; the larger buffers are for later rows.
                self._check(self._library.mysql_stmt_bind_result, self._results)
            return values
        finally:
            self._library.mysql_stmt_free_result(self._handle)

    def execute_many(self, columns: Sequence[BulkColumn], rows: int) -> int:
        """Run it for many rows by the bulk protocol; return how many rows were changed.

        Rows go in packets of about 1 MiB. Whoever wants all or nothing
        begins a transaction before.
        """
        self._bound_for_rows = False
        changed = 0
        for start, stop in pairwise(cuts(columns, rows)):
            for bind, column in zip(self._parameters, columns, strict=True):
                _point(bind, column, start)
            self._set_array_size(stop - start)
            self._check(self._library.mysql_stmt_bind_param, self._parameters)
            if self._library.mysql_stmt_execute(self._handle):
                raise self._error()
            changed += self.affected_rows()
        return changed

    def _bind_rows(self) -> None:
        self._set_array_size(0)
        for bind, slot in zip(self._parameters, self._in, strict=True):
            bind.buffer_type = slot.kind.value
            bind.indicator = None
            bind.length = ctypes.addressof(slot.length)
            bind.is_null = ctypes.addressof(slot.null)
            bind.buffer = slot.address if slot.has_length else ctypes.addressof(slot.number)
        self._check(self._library.mysql_stmt_bind_param, self._parameters)
        self._bound_for_rows = True

    def _set_array_size(self, rows: int) -> None:
        self._library.mysql_stmt_attr_set(
            self._handle, _ATTR_ARRAY_SIZE, ctypes.byref(ctypes.c_uint(rows))
        )

    def _fetched(self, place: int, slot: _Slot) -> Any:
        if slot.null.value:
            return None
        if not slot.has_length:
            return slot.number.value
        length_bytes = slot.length.value
        if length_bytes > slot.room_bytes:
            slot.grow(length_bytes)
            bind = ctypes.byref(self._results[place])
            if self._library.mysql_stmt_fetch_column(self._handle, bind, place, 0):
                raise self._error()
        return ctypes.string_at(slot.address, length_bytes)

    def _check(self, function: Callable[..., bytes], binds: Any) -> None:
        if function(self._handle, binds) != b"\x00":
            raise self._error()

    def _error(self) -> DeduplabError:
        loaded, handle = self._library, self._handle
        return translated(
            loaded.mysql_stmt_errno(handle),
            loaded.mysql_stmt_sqlstate(handle).decode(),
            loaded.mysql_stmt_error(handle).decode("utf-8", "replace"),
        )


def _point(bind: _Bind, column: BulkColumn, start: int) -> None:
    """Let a parameter begin at this row of a column."""

    def address(array: npt.NDArray[Any] | None) -> int | None:
        return None if array is None else array.ctypes.data + start * array.itemsize

    bind.buffer_type = column.kind.value
    bind.buffer = address(column.values)
    bind.length = address(column.lengths)
    bind.indicator = address(column.nulls)
    bind.is_null = None
