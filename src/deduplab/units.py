"""Units: bytes, nanoseconds and ratios, read from text and written for people.

Decimal prefixes (kB, MB, GB) are powers of 1000, binary ones (KiB, MiB, GiB)
powers of 1024 (IEC 80000-13). Throughput is always given in MB/s (10^6).
"""

from __future__ import annotations

import re

from deduplab.errors import PlanError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_FACTORS = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": KIB,
    "mib": MIB,
    "gib": GIB,
    "tib": 1024 * GIB,
}
# So many digits as no number can need: Python refuses to convert very long ones.
_SIZE = re.compile(r"^\s*([0-9]{1,30})\s*([A-Za-z]*)\s*$")
_PERCENT = re.compile(r"^\s*([0-9]{1,30})\s*%\s*$")


def parse_bytes(text: str | int) -> int:
    """Read a number of bytes such as ``"8 MiB"``, ``"64KiB"`` or ``4096``.

    Raises
    ------
    PlanError
        If the text is not a whole number followed by a known unit.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 0:
            raise PlanError(f"a number of bytes can't be negative: {text}")
        return text
    match = _SIZE.match(str(text))
    factor = _FACTORS.get((match.group(2) or "b").lower()) if match else None
    if match is None or factor is None:
        raise PlanError(
            f"not a number of bytes: {text!r}; write a whole number and a unit, "
            "such as '8 MiB', '64 KiB' or '4096'"
        )
    return int(match.group(1)) * factor


def parse_percent(text: str | int) -> int:
    """Read a whole percentage such as ``"10 %"`` or ``10``; 0 to 100.

    Raises
    ------
    PlanError
        If it is not a whole percentage.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        value = text
    else:
        match = _PERCENT.match(str(text))
        if match is None:
            raise PlanError(f"not a whole percentage: {text!r}; write '10 %' or 10")
        value = int(match.group(1))
    if not 0 <= value <= 100:
        raise PlanError(f"a percentage lies between 0 and 100, not at {value}")
    return value


def format_bytes(count_bytes: float) -> str:
    """Write a number of bytes for people, in binary units, to three digits."""
    value = float(count_bytes)
    sign = "-" if value < 0 else ""
    value = abs(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            if unit == "B":
                return f"{sign}{value:.0f} B"
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{sign}{value:.{digits}f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def two_digits(value: float) -> str:
    """Write a number with two digits after the point, and no minus before a zero."""
    text = f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text


def format_ns(duration_ns: float) -> str:
    """Write a duration given in nanoseconds for people."""
    value = float(duration_ns)
    # What three digits would round up to 1000 is written in the next unit: 1 ms, not 1e+03 µs.
    for limit, divisor, unit in ((999.5, 1, "ns"), (999.5e3, 1e3, "µs"), (999.5e6, 1e6, "ms")):
        if value < limit:
            return f"{value / divisor:.3g} {unit}"
    return format_seconds(value / 1e9)


def format_rate(rate_per_s: float) -> str:
    """Write operations a second for people, and so that it can be read back: ``500/s``."""
    return f"{rate_per_s:.10g}/s"


def format_seconds(duration_s: float) -> str:
    """Write a duration given in seconds for people: ``4.2 s``, ``3:05 min``."""
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes}:{seconds:02d} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d} h"
