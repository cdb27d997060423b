"""Shards scanned by several processes: this one, and others that are forked from it.

For sources that a forked process can read, where the part in C was built. It is the short way: a
process begins within a millisecond, and hands back what it counted in memory that both see, which
is counted here by one call. :mod:`deduplab.bound.processes` is the way for everything else.
"""

from __future__ import annotations

import gc
import mmap
import os
import select
import sys
import threading
import warnings
from collections.abc import Sequence
from ctypes import addressof, c_char
from typing import TYPE_CHECKING, Final

from deduplab.bound import handover
from deduplab.bound.grains import WHOLE
from deduplab.bound.native import Native, native
from deduplab.bound.native_scan import NativeScan
from deduplab.bound.scan import Progress
from deduplab.bound.settings import ScanSettings
from deduplab.bound.shards import Shards
from deduplab.bound.share import ENDED_EARLY, Share
from deduplab.bound.sketch import Sketch
from deduplab.bound.stream import Source
from deduplab.errors import OperationFailed

if TYPE_CHECKING:
    from deduplab.bound.agreed_samples import AgreedSamples
    from deduplab.bound.native_samples import NativeSamples

_POLL_MS: Final = 100
_DONE, _FAILED, _STOPPED = b"done", b"failed", b"stopped"


class _Stopped(Exception):
    """Another process has failed or was interrupted: what this one does is of no use."""


def can_fork(sources: Sequence[Source]) -> bool:
    """Tell whether processes may be forked to read sources.

    Not while another thread of this interpreter runs: the locks that it holds would stay locked.
    """
    return (
        sys.platform == "linux"
        and native() is not None
        and threading.active_count() == 1
        and all(source.forks for source in sources)
    )


def scan_forked(
    sources: Sequence[Source],
    settings: ScanSettings,
    processes: int,
    progress: Progress | None,
) -> list[Sketch]:
    """Scan sources by several processes, and return the sketches of the shards, in their order.

    Raises
    ------
    OperationFailed
        If a process can't be begun, or ends early.
    """
    library = native()
    assert library is not None
    shards = Shards(sources, processes)
    share = Share(shards.all, settings)
    agreed = _agreed(library, shards.processes, settings)
    board = _Board(library, shards, progress, agreed)
    children: list[_Child] = []
    try:
        for number in range(1, shards.processes):
            children.append(_Child(share, board, number))
        _scan(share, board, 0)
        sketches: dict[int, Sketch] = {}
        for child in children:
            sketches.update(child.result(share, board))
        sketches.update(share.sketches())
        return [sketches[place] for place in sorted(sketches)]
    except _Stopped:
        for child in children:
            child.result(share, board)  # the one that has failed raises of what
        raise OperationFailed(ENDED_EARLY) from None
    finally:
        board.stop()
        for child in children:
            child.end()


def _scan(share: Share, board: _Board, number: int) -> None:
    """Do the work of one of the processes, up to what it hands over."""
    share.scan(lambda: board.take(number), lambda scanned: board.count(number, scanned))
    if board.agreed is None:
        share.compress()
    elif share.scanner.streams:
        board.agreed.compress(number, _samples(share))
    share.close()


def _samples(share: Share) -> NativeSamples:
    """Return the samples for compression of the one stream that there is."""
    (stream,) = share.scanner.streams.values()
    assert isinstance(stream, NativeScan)
    assert stream.samples is not None
    return stream.samples


def _agreed(library: Native, processes: int, settings: ScanSettings) -> AgreedSamples | None:
    """Return what processes agree on, where an exact scan compresses.

    A sampled one begins anew with each shard.
    """
    if not settings.compress or settings.sample is not None:
        return None
    from deduplab.bound.agreed_samples import AgreedSamples  # late: not every scan compresses
    from deduplab.bound.compression import compressed_bytes

    grains = [WHOLE, *(name for name in settings.grains if name != WHOLE)]
    return AgreedSamples(library, processes, [compressed_bytes(name, settings) for name in grains])


class _Board:
    """Memory that all processes see: which shards are taken, who has scanned how much, the end.

    Attributes
    ----------
    agreed
        Their samples for compression, where there are any.
    """

    def __init__(
        self,
        library: Native,
        shards: Shards,
        progress: Progress | None,
        agreed: AgreedSamples | None,
    ) -> None:
        self.agreed = agreed
        self._library = library
        self._progress = progress
        self._shards = shards
        self._parent = os.getpid()
        self._told_bytes = 0
        counts_bytes, flags = 8 * shards.processes, len(shards.all)
        self._memory = memoryview(mmap.mmap(-1, counts_bytes + flags + 1))
        self._counts = self._memory[:counts_bytes].cast("q")
        self._taken = addressof(c_char.from_buffer(self._memory, counts_bytes))
        self._stopped = self._memory[counts_bytes + flags :]

    def take(self, number: int) -> int | None:
        """Return the place of a shard that is now the process's, or None if none is left."""
        for place in self._shards.order(number):
            if self._library.claim(self._taken + place):
                return place
        return None

    def count(self, number: int, scanned_bytes: int) -> None:
        """Count what a process has scanned, and raise if there is nothing to go on for."""
        self._counts[number] += scanned_bytes
        if self._stopped[0] or (number and os.getppid() != self._parent):
            raise _Stopped
        if not number:
            self.tell()

    def tell(self) -> None:
        """Pass on what all processes have scanned."""
        total_bytes = sum(self._counts)
        if self._progress is not None and total_bytes > self._told_bytes:
            self._progress(total_bytes - self._told_bytes)
            self._told_bytes = total_bytes

    def stop(self) -> None:
        """Let all processes end at their next block."""
        self._stopped[0] = 1


class _Child:
    """A forked process: it scans until no shard is left, and writes down what it counted."""

    def __init__(self, share: Share, board: _Board, number: int) -> None:
        opened: list[int] = []
        try:
            opened.append(os.memfd_create("deduplab-scan", os.MFD_CLOEXEC))
            opened.extend(os.pipe())
            with warnings.catch_warnings():
                # Newer Pythons warn of threads that are no Python's: those of numpy wait for work.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._pid: int | None = os.fork()
        except OSError as error:
            for descriptor in opened:
                os.close(descriptor)
            raise OperationFailed(
                f"process {number + 1} can't be begun: {error.strerror}; scan with fewer"
            ) from error
        self._file, self._said, says = opened
        if not self._pid:
            _be_child(share, board, number, self._file, says)
        os.close(says)

    def result(self, share: Share, board: _Board) -> dict[int, Sketch]:
        """Wait for the process, and take over what it counted.

        Returns
        -------
        dict
            Sketches by the place of their shard, of a sampled scan. What an exact one has
            counted is counted by the share.

        Raises
        ------
        Exception
            What the process failed of; OperationFailed if it said nothing.
        """
        # Not by select(), which knows no descriptor above 1023.
        says = select.poll()
        says.register(self._said, select.POLLIN)
        while not says.poll(_POLL_MS):
            board.tell()
        board.tell()
        said = os.read(self._said, 64)
        if said == _STOPPED:
            return {}  # another one says why
        if not said:
            raise OperationFailed(ENDED_EARLY)
        if said == _FAILED:
            raise handover.read_error(self._file)
        return handover.take_counts(share, self._file)

    def end(self) -> None:
        """Wait for the process to end, and let go of all that is its."""
        if self._pid is not None:
            os.waitpid(self._pid, 0)
            os.close(self._said)
            os.close(self._file)
            self._pid = None


def _be_child(share: Share, board: _Board, number: int, file: int, says: int) -> None:
    """Do the work of a forked process, which ends here."""
    try:
        try:
            gc.freeze()  # what was there before is not looked through, and so stays common memory
            _scan(share, board, number)
            handover.write_counts(share, file)
            said = _DONE
        except _Stopped:
            said = _STOPPED
        except BaseException as error:
            board.stop()
            handover.write_error(error, file)
            said = _FAILED
        os.write(says, said)
    finally:
        # Nothing of the parent's is flushed, closed or removed a second time.
        os._exit(0)
