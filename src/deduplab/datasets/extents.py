"""Extents: where the distinct objects of a source lie, and how they are copied to memory."""

from __future__ import annotations

from array import array
from contextlib import ExitStack
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from deduplab.datasets.sizes import GREATEST_OBJECT_BYTES
from deduplab.datasets.source_files import SourceFile
from deduplab.datasets.spool import Spool

Integers: TypeAlias = npt.NDArray[np.int64]

GREATEST_LENGTH_BYTES: Final = GREATEST_OBJECT_BYTES
"""The longest object that can be indexed."""

SPOOL: Final = 0
"""The number of the spool; files are numbered from 1."""


class Extents:
    """Objects by number: the file that each lies in, its offset and its length; 16 bytes each.

    Attributes
    ----------
    total_bytes
        The sum of the objects' lengths.
    """

    def __init__(self) -> None:
        self.total_bytes = 0
        self._files: list[SourceFile] = []
        self._spool: Spool | None = None
        self._numbers, self._offsets, self._lengths = array("I"), array("q"), array("I")

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def spool(self) -> Spool:
        """The spool, made at its first use."""
        if self._spool is None:
            self._spool = Spool()
        return self._spool

    def open(self, file: SourceFile) -> int:
        """Take up a file that objects lie in, and return its number."""
        self._files.append(file)
        return len(self._files)

    def add(self, number: int, offset: int, length_bytes: int) -> None:
        """Take up an object."""
        self._numbers.append(number)
        self._offsets.append(offset)
        self._lengths.append(length_bytes)
        self.total_bytes += length_bytes

    def freeze(self) -> None:
        """Make it ready for use; nothing is added afterwards."""
        if self._spool is not None:
            self._spool.finish()
        self._file_column = np.frombuffer(self._numbers, dtype=np.uint32)
        self._offset_column = np.frombuffer(self._offsets, dtype=np.int64)
        self._length_column = np.frombuffer(self._lengths, dtype=np.uint32)

    def lengths(self, objects: Integers) -> Integers:
        """Return the length in bytes of each object."""
        return self._length_column[objects].astype(np.int64)

    def copy(
        self,
        objects: Integers,
        skips: Integers,
        lengths: Integers,
        starts: Integers,
        out: memoryview,
    ) -> None:
        """Copy parts of objects: ``lengths`` bytes behind the first ``skips``, to ``starts``.

        What lies side by side, there and here, is read at once.

        Raises
        ------
        DatasetError
            If a file is no longer the one that was indexed.
        """
        numbers = self._file_column[objects]
        offsets = self._offset_column[objects] + skips
        follows = numbers[1:] == numbers[:-1]
        follows &= offsets[1:] - offsets[:-1] == lengths[:-1]
        follows &= starts[1:] - starts[:-1] == lengths[:-1]
        breaks = np.flatnonzero(~follows)
        firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(objects) - 1)
        columns = (numbers[firsts], offsets[firsts], starts[firsts], starts[lasts] + lengths[lasts])
        current, descriptor = SPOOL, -1
        with ExitStack() as stack:
            for number, offset, start, stop in zip(
                *(column.tolist() for column in columns), strict=True
            ):
                if number == SPOOL:
                    self.spool.fill(offset, out[start:stop])
                    continue
                if number != current:
                    stack.close()
                    descriptor = stack.enter_context(self._files[number - 1].opened())
                    current = number
                self._files[number - 1].fill(descriptor, offset, out[start:stop])
