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
        files, folders = entries_of(folder, leave_out)
        yield folder, files
        folders.reverse()
        waiting.extend(joined(folder, name) for name in folders)


def entries_of(folder: bytes, leave_out: Notice) -> tuple[list[os.DirEntry[bytes]], list[bytes]]:
    """Return the regular files in a folder and the names of its folders, both in order.

    What :func:`walk` leaves out is left out.
    """
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
                    reason = SYMBOLIC_LINK if entry.is_symlink() else SPECIAL_FILE
                    leave_out(shown(joined(folder, entry.name)), reason)
    except OSError as error:
        leave_out(shown(folder), unreadable(error))
    files.sort(key=attrgetter("name"))
    folders.sort()
    return files, folders
