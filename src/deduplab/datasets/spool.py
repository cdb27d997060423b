"""The spool: what a source holds in another form, canonical and back to back, in a file.

Its memory does not grow beyond a limit. The file has no name, so it is gone
with the process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import Final

from deduplab.datasets.origins import cache_folder
from deduplab.errors import DatasetError
from deduplab.units import MIB

_RESIDENT_BYTES: Final = 32 * MIB
_WAITING_BYTES: Final = 4 * MIB


class Spool:
    """Bytes that grow at their end, and are read anywhere: up to 32 MiB in memory, else in a file.

    Raises
    ------
    DatasetError
        If the disk of the cache folder is full, or can't be written.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        self._written_bytes = 0
        self._waiting = bytearray()

    @property
    def length_bytes(self) -> int:
        """What is in it, in bytes."""
        return self._written_bytes + len(self._waiting)

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes at the end."""
        self._waiting += data
        if len(self._waiting) >= (_RESIDENT_BYTES if self._file is None else _WAITING_BYTES):
            self._write_out()

    def cut(self, length_bytes: int) -> None:
        """Forget what lies behind the first ``length_bytes``."""
        if length_bytes < self._written_bytes:
            assert self._file is not None
            self._waiting.clear()
            os.ftruncate(self._file, length_bytes)
            self._written_bytes = length_bytes
        else:
            del self._waiting[length_bytes - self._written_bytes :]

    def finish(self) -> None:
        """Say that nothing is added any more; needed before anything is read."""
        if self._file is not None:
            self._write_out()
        self._resident = memoryview(self._waiting)

    def fill(self, offset: int, out: memoryview) -> None:
        """Read from an offset until ``out`` is full."""
        if self._file is None:
            out[:] = self._resident[offset : offset + len(out)]
            return
        filled = 0
        while filled < len(out):
            count = os.preadv(self._file, (out[filled:],), offset + filled)
            if count == 0:
                raise DatasetError("the spool in the cache folder was cut short; start again")
            filled += count

    def _write_out(self) -> None:
        try:
            if self._file is None:
                folder = cache_folder() / "spool"
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                    self._file = os.dup(file.fileno())
                weakref.finalize(self, os.close, self._file)
            waiting = memoryview(self._waiting)
            while waiting:
                count = os.pwrite(self._file, waiting, self._written_bytes)
                self._written_bytes += count
                waiting = waiting[count:]
        except OSError as error:
            raise _unwritable(error) from error
        self._waiting = bytearray()


def _unwritable(error: OSError) -> DatasetError:
    return DatasetError(
        f"prepared data can't be written to {cache_folder() / 'spool'}: {error.strerror}; "
        "set DEDUPLAB_CACHE to a folder with enough room"
    )
