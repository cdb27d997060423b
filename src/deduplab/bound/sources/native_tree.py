"""The files of a folder as the part in C lists them (``tree.c``): many folders by one call."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from ctypes import string_at
from typing import Final, NamedTuple
from weakref import finalize

from deduplab.bound.native import Native, TreeNumbers, checked

PLAIN: Final = 0
APART: Final = -1
UNREAD: Final = -2
_MOST_AT_ONCE: Final = 8192
"""Files and folders that one call lists, and the rest of a folder: then it can be interrupted."""


class Listed(NamedTuple):
    """Files of a folder.

    Attributes
    ----------
    path, names, sizes
        Of the folder, and its files' names, in order, and lengths in bytes.
    state
        ``PLAIN`` where these are all files. Not listed, but to be looked at, are the files of a
        folder that is ``APART``, in which something is no regular file or has a second name, and
        an ``UNREAD`` folder with all below it.
    """

    path: bytes
    names: list[bytes]
    sizes: list[int]
    state: int


def listed_below(library: Native, root: bytes) -> list[Listed]:
    """List a folder and those below it: a folder's own files, then those in its folders.

    Two threads do it, from where there are several folders on: a call to the system for each file
    takes longer than all else, and they do not wait for each other in it.
    """
    tree = _Tree(library, library.tree_new(root))
    found: list[Listed] = []
    while tree.waits == 1:
        found += tree.listed(1)
    if not tree.waits:
        return found
    behind: list[Listed] = []
    other = _Other(tree.split(), behind)
    other.start()
    found += tree.all()
    other.join()
    if other.error is not None:
        raise other.error
    return found + behind


class _Tree:
    """The library's list of folders to come."""

    def __init__(self, library: Native, address: int | None) -> None:
        if address is None:
            raise MemoryError("there is no memory to list files")
        self._library = library
        self._address = address
        self._numbers = TreeNumbers.from_address(address)
        self._freed = finalize(self, library.tree_free, address)

    @property
    def waits(self) -> int:
        """How many folders are to come, not counting those in them."""
        found: int = self._numbers.waits
        return found

    def split(self) -> _Tree:
        """Give half of them, those that come last, to another one."""
        return _Tree(self._library, self._library.tree_split(self._address))

    def all(self) -> list[Listed]:
        """List all that are to come."""
        found: list[Listed] = []
        while more := list(self.listed(_MOST_AT_ONCE)):
            found += more
        return found

    def listed(self, most: int) -> Iterator[Listed]:
        """List the next folders, until there are so many and files of them."""
        checked(self._library.tree_next(self._address, most))
        numbers = self._numbers
        names = string_at(numbers.names or 0, numbers.names_bytes).split(b"\0")
        paths = string_at(numbers.paths or 0, numbers.paths_bytes).split(b"\0")
        sizes = array("q", string_at(numbers.lengths or 0, 8 * numbers.files)).tolist()
        counts = array("q", string_at(numbers.counts or 0, 8 * numbers.folders)).tolist()
        at = 0
        for path, count in zip(paths, counts, strict=False):  # behind the last path is nothing
            end = at + max(count, 0)
            yield Listed(path, names[at:end], sizes[at:end], min(count, PLAIN))
            at = end


class _Other(threading.Thread):
    """Lists a part of all while somebody else lists another one."""

    def __init__(self, tree: _Tree, found: list[Listed]) -> None:
        super().__init__(name="deduplab-list", daemon=True)
        self.error: BaseException | None = None
        self._tree = tree
        self._found = found

    def run(self) -> None:
        try:
            self._found += self._tree.all()
        except BaseException as error:  # who waits for this raises it
            self.error = error
