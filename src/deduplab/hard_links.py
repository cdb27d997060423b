"""Hard links: files that have several names, and are to be counted once."""

from __future__ import annotations

import os


class HardLinks:
    """The files of several names that were met: each counts once, under its first name."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], str | bytes] = {}

    def is_further(self, state: os.stat_result, path: str | bytes) -> bool:
        """Tell whether a file was met under another name; the same name may come again.

        A file with one name (or none any more) is not remembered: most have one.
        """
        if state.st_nlink < 2:
            return False
        return self._first.setdefault((state.st_dev, state.st_ino), path) != path
