"""The files of a folder, in a fixed order; names are bytes, as the file system has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from operator import attrgetter

from deduplab.bound.sources.base import words_of

Notice = Callable[[str, str], None]
"""Takes the name of what is left out, and the reason."""

SYMBOLIC_LINK = "a symbolic link, not followed"
SPECIAL_FILE = "not a regular file (a socket, pipe or device)"
FURTHER_LINK = "a further hard link to a file that is counted"


class HardLinks:
    """The files of several names that were met: each counts once, under its first name."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], bytes] = {}

    def is_further(self, state: os.stat_result, path: bytes) -> bool:
        """Tell whether a file was met under another name; the same name may come again."""
        if state.st_nlink < 2:
            return False
        return self._first.setdefault((state.st_dev, state.st_ino), path) != path


def shown(path: bytes) -> str:
    r"""Return a path for people; what is not UTF-8 is written as ``\xff``."""
    return path.decode("utf-8", "backslashreplace")


def joined(folder: bytes, name: bytes) -> bytes:
    """Return the path of a name in a folder."""
    return folder + name if folder.endswith(b"/") else folder + b"/" + name


def unreadable(error: OSError) -> str:
    """Word the error of a file or folder that can't be read."""
    return f"can't be read: {error.strerror or words_of(error)}"


def walk(root: bytes, leave_out: Notice) -> Iterator[tuple[bytes, list[os.DirEntry[bytes]]]]:
    """Yield each folder at and below ``root`` with its regular files.

    In order of names as bytes: a folder's files, then its folders. Symbolic
    links below the root, special files and folders that can't be opened are
    left out, each with the reason.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        files: list[os.DirEntry[bytes]] = []
        folders: list[bytes] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        files.append(entry)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    else:
                        link = entry.is_symlink()
                        reason = SYMBOLIC_LINK if link else SPECIAL_FILE
                        leave_out(shown(joined(folder, entry.name)), reason)
        except OSError as error:
            leave_out(shown(folder), unreadable(error))
        files.sort(key=attrgetter("name"))
        yield folder, files
        folders.sort(reverse=True)
        waiting.extend(joined(folder, name) for name in folders)
