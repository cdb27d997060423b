"""The FILES layer: a system's files by both rulers, split by component."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deduplab.errors import ProbeError
from deduplab.hard_links import HardLinks
from deduplab.model import Layer, Reading, Ruler

BLOCK_BYTES: Final = 512  # the unit of st_blocks, whatever the file system's own block size
DIRECTORIES: Final = "directories"
"""The component of directories themselves."""


class FilesProbe:
    """Walks one directory tree; hard links count once, directories count as ``directories``.

    ``allocated`` is ``st_blocks * 512``, ``apparent`` is ``st_size`` (see
    stat(2)). Sparse files and punched holes make the two differ; a file system
    that compresses may report the uncompressed size in both.

    Parameters
    ----------
    directory
        The system's data directory.
    components
        Pairs of glob (over the path relative to the directory) and component;
        the first match wins, what matches none is ``data``.
    """

    layer = Layer.FILES

    def __init__(self, directory: Path, components: Sequence[tuple[str, str]] = ()) -> None:
        self.directory = directory
        self._components = [
            (re.compile(fnmatch.translate(glob)), component) for glob, component in components
        ]

    def measure(self) -> tuple[Reading, ...]:
        """Return the allocated and the apparent reading of this moment, from one walk."""
        allocated: Counter[str] = Counter()
        apparent: Counter[str] = Counter()
        now = time.time_ns()
        for path, status in _walk(self.directory):
            component = self._component(path)
            allocated[component] += status.st_blocks * BLOCK_BYTES
            apparent[component] += status.st_size
        return (
            _reading(Ruler.ALLOCATED, allocated, "stat: st_blocks * 512", now),
            _reading(Ruler.APPARENT, apparent, "stat: st_size", now),
        )

    def allocated_bytes(self) -> int:
        """Return the allocated bytes alone; the cheap form for a rest curve."""
        return sum(status.st_blocks for _, status in _walk(self.directory)) * BLOCK_BYTES

    def _component(self, path: str) -> str:
        if path.endswith("/"):
            return DIRECTORIES
        for pattern, component in self._components:
            if pattern.match(path):
                return component
        return "data"


def _reading(ruler: Ruler, components: Counter[str], source: str, at_unix_ns: int) -> Reading:
    return Reading(
        layer=Layer.FILES,
        ruler=ruler,
        total_bytes=components.total(),
        source=source,
        at_unix_ns=at_unix_ns,
        components=dict(sorted(components.items())),
    )


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield relative path (directories end in ``/``) and status of everything below the root.

    A hard-linked file is yielded once.
    """
    links = HardLinks()
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for name, is_directory, status in _entries(root, prefix):
            path = f"{prefix}{name}"
            if is_directory:
                waiting.append(f"{path}/")
                yield f"{path}/", status
                continue
            if not links.is_further(status, path):
                yield path, status


def _entries(root: Path, prefix: str) -> Iterator[tuple[str, bool, os.stat_result]]:
    """Yield name, whether it is a directory, and status of what lies in one directory.

    What vanishes meanwhile is not there, and so counts nothing; a root that
    can't be read is an error.
    """
    try:
        for entry in os.scandir(root / prefix):
            try:
                status = entry.stat(follow_symlinks=False)
                yield entry.name, entry.is_dir(follow_symlinks=False), status
            except FileNotFoundError:
                continue
    except FileNotFoundError as error:
        if prefix == "":
            raise ProbeError(f"the data directory is gone: {error}") from error
    except OSError as error:
        raise ProbeError(f"the data directory can't be read: {error}") from error
