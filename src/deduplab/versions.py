"""Versions: whether a product is of one that its adapter was written for and run with."""

from __future__ import annotations

import re
from typing import Final

from deduplab.errors import VersionRefused

_NUMBERS: Final = (re.compile(r"\d+(?:[.-]\d+)+"), re.compile(r"^\d+"))
"""A version inside what a product says of itself: numbers with dots (or dashes, in a date)."""


def number_in(said: str) -> str | None:
    """Return the version alone, without names of builds and of their packagers; None without one.

    Parameters
    ----------
    said
        What the product tells of its version.
    """
    found = next((match for kind in _NUMBERS if (match := kind.search(said))), None)
    return found.group() if found else None


def check_version(system: str, said: str, known: tuple[str, str] | None) -> None:
    """Refuse a version outside the range that is known.

    Parameters
    ----------
    said
        What the product tells of its version. Where no number can be made out in it,
        nothing is refused.
    known
        The oldest and the newest version, both included; each covers what begins
        with it, so ``18`` covers 18.6. None knows no bounds.

    Raises
    ------
    VersionRefused
        With the range, and what can be done.
    """
    number = number_in(said)
    if known is None or number is None:
        return
    version = _parts(number)
    oldest, newest = (_parts(bound) for bound in known)
    if version[: len(oldest)] < oldest or version[: len(newest)] > newest:
        raise VersionRefused(
            f"{system} {number} is none that deduplab knows ({known[0]} to {known[1]}): "
            "what its statements and sizes mean there was never looked at, so nothing is measured; "
            "take a version in between, or register the system under another name with a "
            "SystemEntry whose 'versions' cover this one, and see that the contract tests pass"
        )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.split(r"[.-]", version))
