"""One table of a TOML document: keys are taken one by one, errors are placed at their line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from deduplab.errors import DeduplabError, PlanError, unknown_name
from deduplab.units import parse_bytes

_GREATEST_SECONDS: Final = 365 * 86_400
_GREATEST_INTEGER: Final = (1 << 64) - 1

_T = TypeVar("_T")


class Table:
    """One table of the document: takes keys, remembers which, and places errors at their line."""

    def __init__(
        self, values: Mapping[str, Any], path: tuple[str, ...], text: str, origin: str
    ) -> None:
        self._values = values
        self._path = path
        self._text = text
        self._taken: set[str] = set()
        self.origin = origin

    def names(self) -> tuple[str, ...]:
        """Return the keys that the table has."""
        return tuple(self._values)

    def holds_table(self, key: str) -> bool:
        """Return whether the key is there and its value is a table."""
        return isinstance(self._values.get(key), dict)

    def table(self, key: str, *, optional: bool = False) -> Table:
        """Take a key as a table; an optional one that is missing is empty."""
        self._taken.add(key)
        value = self._values.get(key, {} if optional else None)
        if value is None:
            where = ".".join((*self._path, key))
            raise PlanError(f"{self.origin}: the table [{where}] is missing")
        if not isinstance(value, dict):
            raise self.error(key, f"{key!r} must be a table")
        return Table(value, (*self._path, key), self._text, self.origin)

    def take(self, key: str, convert: Callable[[Any], _T], default: Any = ...) -> _T:
        """Take a key and convert its value; without a default it must be there."""
        self._taken.add(key)
        if key not in self._values:
            if default is ...:
                where = f"[{'.'.join(self._path)}] " if self._path else ""
                raise PlanError(f"{self.origin}: {where}{key!r} is missing")
            return default  # type: ignore[no-any-return]
        return self._converted(key, self._values[key], convert)

    def take_list(
        self,
        key: str,
        convert: Callable[[Any], _T],
        default: Any = ...,
        *,
        may_be_empty: bool = False,
        may_repeat: bool = False,
    ) -> tuple[_T, ...]:
        """Take a key as a list, by rule with at least one entry and none of them twice."""
        self._taken.add(key)
        if key not in self._values and default is not ...:
            return tuple(convert(value) for value in default)
        values = self.take(key, lambda value: value)
        if not isinstance(values, list) or not (values or may_be_empty):
            raise self.error(key, f"{key!r} must be a list with at least one entry")
        converted = [self._converted(key, value, convert) for value in values]
        if not may_repeat and len(set(converted)) != len(converted):
            raise self.error(key, f"{key!r} names something twice")
        return tuple(converted)

    def finish(self) -> None:
        """Refuse keys that nobody took."""
        for key in self._values:
            if key not in self._taken:
                raise self.error(key, unknown_name("key", key, tuple(sorted(self._taken))))

    def error(self, key: str, message: str, value: object = None) -> PlanError:
        """Return an error that names file and line of a key, or of a value in its list."""
        return PlanError(f"{self.origin}:{_line(self._text, self._path, key, value)}: {message}")

    def _converted(self, key: str, value: Any, convert: Callable[[Any], _T]) -> _T:
        try:
            return convert(value)
        except DeduplabError as error:
            raise self.error(key, f"{key}: {error}", value) from error


def _line(text: str, path: tuple[str, ...], key: str, value: object) -> int:
    """Find the line of a key (or of a value in its list); the parser keeps no positions.

    A key that begins no line stands in an inline table: the line is that table's.
    """
    wanted = ".".join(path)
    current = ""
    found = 0
    key_pattern = re.compile(rf"""^\s*["']?{re.escape(key)}["']?\s*=""")
    header = re.compile(r"^\s*\[([^\[\]]+)\]")
    for number, line in enumerate(text.splitlines(), start=1):
        if match := header.match(line):
            if found:
                break
            current = match.group(1).replace('"', "").replace(" ", "")
            if current == ".".join((*path, key)):
                return number
        elif not found and current == wanted and key_pattern.match(line):
            found = number
        if found and isinstance(value, str) and re.search(rf"""["']{re.escape(value)}["']""", line):
            return number
    if not found and path:
        return _line(text, path[:-1], path[-1], value)
    return found or 1


def string(value: Any) -> str:
    """Return text as it is, and refuse anything else."""
    if not isinstance(value, str):
        raise PlanError(f"must be text, not {value!r}")
    if "\0" in value:
        raise PlanError(f"must be text without NUL characters, not {value!r}")
    return value


def boolean(value: Any) -> bool:
    """Return true or false as it is, and refuse anything else."""
    if not isinstance(value, bool):
        raise PlanError(f"must be true or false, not {value!r}")
    return value


def integer(least: int) -> Callable[[Any], int]:
    """Return a converter that takes whole numbers from ``least`` on."""

    def convert(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise PlanError(f"must be a whole number from {least}, not {value!r}")
        if value > _GREATEST_INTEGER:
            raise PlanError(f"must be a whole number of at most 64 bits, {_GREATEST_INTEGER}")
        return value

    return convert


def some_bytes(value: Any) -> int:
    """Return a number of bytes, 1 at least."""
    count_bytes = parse_bytes(value)
    if count_bytes < 1:
        raise PlanError("must be at least 1 byte")
    return count_bytes


def seconds(value: Any) -> float:
    """Return a number of seconds, above 0 and below a year."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < _GREATEST_SECONDS:
        raise PlanError(f"must be a number of seconds above 0 and below a year, not {value!r}")
    return float(value)


def choice(what: str, known: tuple[_T, ...]) -> Callable[[Any], _T]:
    """Return a converter that takes one of the known values; the refusal names the nearest."""

    def convert(value: Any) -> _T:
        for candidate in known:
            if candidate == value:
                return candidate
        raise PlanError(unknown_name(what, str(value), tuple(str(name) for name in known)))

    return convert
