"""The files of a folder with their lengths, listed before any is read, and divided into parts."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from deduplab.bound.native import native
from deduplab.bound.sources.native_tree import APART, UNREAD, Listed, listed_below
from deduplab.bound.sources.tree import FURTHER_LINK, entries_of, shown, unreadable, walk
from deduplab.bound.stream import LeftOut
from deduplab.hard_links import HardLinks

FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_COST_BYTES: Final = 16 * 1024
"""What opening a file costs, in bytes that could be read instead: for even parts."""


class Folder(NamedTuple):
    """Files of a folder, with their lengths in bytes."""

    path: bytes
    names: list[bytes]
    sizes: list[int]


def files_below(root: bytes, left_out: list[LeftOut], links: HardLinks) -> list[Folder]:
    """List the regular files at and below a folder, each hard-linked one once.

    Names and reasons of what is not among them are added to ``left_out``.
    """
    listed = []

    def leave_out(name: str, reason: str) -> None:
        left_out.append(LeftOut(name, reason))

    def looked_at(path: bytes, entries: Iterable[os.DirEntry[bytes]]) -> Folder:
        folder = Folder(path, [], [])
        for entry in entries:
            try:
                state = entry.stat(follow_symlinks=False)
            except OSError as error:
                leave_out(shown(entry.path), unreadable(error))
                continue
            if links.is_further(state, entry.path):
                leave_out(shown(entry.path), FURTHER_LINK)
                continue
            folder.names.append(entry.name)
            folder.sizes.append(state.st_size)
        return folder

    library = native()
    whole = Listed(root, [], [], UNREAD)
    for path, names, sizes, state in [whole] if library is None else listed_below(library, root):
        if state == UNREAD:
            listed += [looked_at(*one) for one in walk(path, leave_out)]
        elif state == APART:
            listed.append(looked_at(path, entries_of(path, leave_out)[0]))
        else:
            listed.append(Folder(path, names, sizes))
    return listed


def parted(listed: Sequence[Folder], count: int) -> Iterator[list[Folder]]:
    """Yield up to so many parts with neighbouring files and about equal bytes, none empty."""
    costs = [size + _FILE_COST_BYTES for folder in listed for size in folder.sizes]
    ends = list(accumulate(costs))
    begins = [0]
    for number in range(1, count):
        if begins[-1] + 1 >= len(ends):
            break
        # A file belongs to the part that its middle lies in; each part has a file of its own.
        place = number * ends[-1] / count
        begin = bisect_left(ends, place)
        begin += ends[begin] - costs[begin] / 2 < place
        if max(begin, begins[-1] + 1) >= len(ends):
            break
        begins.append(max(begin, begins[-1] + 1))
    folders = iter(listed)
    folder = Folder(b"", [], [])
    for begin, end in pairwise([*begins, len(ends)]):
        part, left = [], end - begin
        while left:
            if not folder.names:
                folder = next(folders)
            names, sizes = folder.names[:left], folder.sizes[:left]
            if names:
                part.append(Folder(folder.path, names, sizes))
            folder = Folder(folder.path, folder.names[left:], folder.sizes[left:])
            left -= len(names)
        if part:
            yield part
