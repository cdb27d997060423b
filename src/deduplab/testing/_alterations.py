"""Objects altered as a faulty system would: a bit flipped, or the second half lost."""

from __future__ import annotations

from collections.abc import Callable

from deduplab.record import Record, Stored, Value


def flipped(stored: Stored) -> Stored:
    """Return an object of the same length with one bit changed (an empty one stays).

    Of a record it is a bit of the first value of text, bytes or whole numbers.
    """
    if isinstance(stored, bytes):
        return _flipped_bytes(stored)
    return _changed(stored, _flipped_value)


def halved(stored: Stored) -> Stored:
    """Return an object without its second half; a record without that of one value."""
    if isinstance(stored, bytes):
        return stored[: len(stored) // 2]
    return _changed(stored, _halved_value)


def _changed(record: Record, change: Callable[[Value], Value]) -> Record:
    """Return a record whose first value that can be changed is changed."""
    for place, value in enumerate(record):
        if (changed := change(value)) != value:
            return (*record[:place], changed, *record[place + 1 :])
    return record


def _flipped_value(value: Value) -> Value:
    match value:
        case bool() | None:
            return value
        case bytes():
            return _flipped_bytes(value)
        case str() if value:
            return chr(ord(value[0]) ^ 1) + value[1:]
        case int():
            return value ^ 1
        case _:
            return value


def _halved_value(value: Value) -> Value:
    return value[: len(value) // 2] if isinstance(value, str | bytes) else value


def _flipped_bytes(payload: bytes) -> bytes:
    middle = len(payload) // 2
    return (
        payload[:middle]
        + bytes(byte ^ 1 for byte in payload[middle : middle + 1])
        + payload[middle + 1 :]
    )
