"""Hard links: files that have several names, and are to be counted once."""

from __future__ import annotations

import os


class HardLinks:
    """The files with several names that were met so far, each told by device and inode."""

    def __init__(self) -> None:
        self._met: set[tuple[int, int]] = set()

    def further(self, state: os.stat_result) -> bool:
        """Tell whether a file was met before under another name, and remember it.

        A file with one name (or none any more) is not remembered: most have one.
        """
        if state.st_nlink <= 1:
            return False
        identity = (state.st_dev, state.st_ino)
        if identity in self._met:
            return True
        self._met.add(identity)
        return False
