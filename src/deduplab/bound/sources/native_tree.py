"""The files of a folder as the part in C lists them (``tree.c``): many folders by one call."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from ctypes import string_at
from typing import Final, NamedTuple

from deduplab.bound.native import Native, TreeNumbers, checked

PLAIN: Final = 0
APART: Final = -1
UNREAD: Final = -2


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


def listed_below(library: Native, root: bytes) -> Iterator[Listed]:
    """Yield a folder and those below it: a folder's own files, then those in its folders."""
    tree = library.tree_new(root)
    if tree is None:
        raise MemoryError("there is no memory to list files")
    try:
        numbers = TreeNumbers.from_address(tree)
        while checked(library.tree_next(tree)):
            names, paths = (
                string_at(place, count).split(b"\0")
                for place, count in (
                    (numbers.names or 0, numbers.names_bytes),
                    (numbers.paths, numbers.paths_bytes),
                )
            )
            lengths, counts = (
                array("q", string_at(place or 0, 8 * count)).tolist()
                for place, count in (
                    (numbers.lengths, numbers.files),
                    (numbers.counts, numbers.folders),
                )
            )
            at = 0
            for path, count in zip(paths, counts, strict=False):
                end = at + max(count, 0)
                yield Listed(path, names[at:end], lengths[at:end], min(count, PLAIN))
                at = end
    finally:
        library.tree_free(tree)
