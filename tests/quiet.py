"""Tests by the real clock, on machines where others work, too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final

_TRIES: Final = 3


def in_a_quiet_moment(test: Callable[[Path], None]) -> Callable[[Path], None]:
    """Give a test more tries, each in a directory of its own.

    Whoever else works here may put processes off, and never makes them faster than they can be:
    what is within its bounds once is so for a reason.
    """

    @functools.wraps(test)
    def tried(tmp_path: Path) -> None:
        for number in range(_TRIES):
            directory = tmp_path / f"try-{number}"
            directory.mkdir()
            try:
                return test(directory)
            except AssertionError:
                if number == _TRIES - 1:
                    raise

    return tried
