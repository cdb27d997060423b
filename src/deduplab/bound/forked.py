"""Shards scanned by several processes: this one, and others that are forked from it.

For sources that a forked process can read, where the part in C was built. It is the short way: a
process begins within a millisecond, and hands back what it counted in memory that both see, which
is counted here by one call. :mod:`deduplab.bound.processes` is the way for everything else.
"""

from __future__ import annotations

import marshal
import mmap
import os
import select
import sys
import threading
import warnings
from collections.abc import Sequence
from ctypes import addressof, c_char
from typing import TYPE_CHECKING, Any, Final

from deduplab.bound.limits import ROW_BYTES, SHARDS_PER_PROCESS
from deduplab.bound.native import Native, native
from deduplab.bound.native_scan import NativeScan
from deduplab.bound.native_tally import CountedElsewhere
from deduplab.bound.scan import Progress
from deduplab.bound.settings import ScanSettings
from deduplab.bound.share import ENDED_EARLY, Share, preferred
from deduplab.bound.sketch import Sketch
from deduplab.bound.stream import LeftOut, Source, split
from deduplab.errors import OperationFailed

if TYPE_CHECKING:
    from deduplab.bound.compression import CompressionSample

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
    halvings: int,
    processes: int,
    progress: Progress | None,
) -> list[Sketch]:
    """Scan sources by several processes, and return the sketches of the shards, in their order.

    Raises
    ------
    OperationFailed
        If a process ends early.
    """
    library = native()
    assert library is not None
    shards = split(sources, SHARDS_PER_PROCESS * processes)
    processes = min(processes, len(shards))
    share = Share(shards, settings, halvings)
    board = _Board(library, len(shards), processes, progress)
    children: list[_Child] = []
    try:
        for number in range(1, processes):
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
    share.scan(lambda: board.take(number), lambda scanned: board.count(number, scanned))


class _Board:
    """Memory that all processes see: which shards are taken, who has scanned how much, the end."""

    def __init__(
        self, library: Native, shards: int, processes: int, progress: Progress | None
    ) -> None:
        self._library = library
        self._processes = processes
        self._progress = progress
        self._shards = shards
        self._parent = os.getpid()
        self._told_bytes = 0
        counts_bytes = 8 * processes
        self._memory = memoryview(mmap.mmap(-1, counts_bytes + shards + 1))
        self._counts = self._memory[:counts_bytes].cast("q")
        self._taken = addressof(c_char.from_buffer(self._memory, counts_bytes))
        self._stopped = self._memory[counts_bytes + shards :]

    def take(self, number: int) -> int | None:
        """Return the place of a shard that is now the process's, or None if none is left."""
        for place in preferred(number, self._processes, self._shards):
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
        self._file = os.memfd_create("deduplab-scan", os.MFD_CLOEXEC)
        self._said, says = os.pipe()
        with warnings.catch_warnings():
            # Newer Pythons warn of threads that are no Python's: those of numpy wait for work.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid: int | None = os.fork()
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
        with mmap.mmap(self._file, 0) as memory:
            at = int.from_bytes(memory[-8:], "little")
            if said == _FAILED:
                raise _error_in(memory[at:-8])
            # Written by a process of ours, into memory that no other has.
            return _take_over(share, memory, marshal.loads(memory[at:-8]))  # noqa: S302

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
            _scan(share, board, number)
            _write_down(share, file)
            said = _DONE
        except _Stopped:
            said = _STOPPED
        except BaseException as error:
            board.stop()
            _append(file, 0, _as_bytes(error))
            said = _FAILED
        os.write(says, said)
    finally:
        # Nothing of the parent's is flushed, closed or removed a second time.
        os._exit(0)


def _write_down(share: Share, file: int) -> None:
    """Write what was counted: rows as they are, then all else."""
    left_out = {place: [tuple(one) for one in each] for place, each in share.left_out.items()}
    if share.sampled:
        from deduplab.bound.sketch_file import to_bytes

        sketches = {place: to_bytes(sketch) for place, sketch in share.sketches().items()}
        _append(file, 0, marshal.dumps(sketches))
        return
    streams: dict[str, tuple[int, dict[int, tuple[bytes, int, Any]]]] = {}
    rows = []
    rows_bytes = 0
    for name, stream in share.scanner.streams.items():
        assert isinstance(stream, NativeScan)
        stream.end_object()
        tallies = {}
        for number, tally in stream.tallies().items():
            tallies[number] = (tally.numbers, rows_bytes, _sample_values(tally.compression))
            rows.append((tally.rows, rows_bytes))
            rows_bytes += len(tally.rows) * ROW_BYTES
        streams[name] = (stream.objects, tallies)
    if rows_bytes:
        os.ftruncate(file, rows_bytes)
        memory = mmap.mmap(file, rows_bytes)
        begin = addressof(c_char.from_buffer(memory))
        for each, at in rows:
            each.write(begin + at)
    _append(file, rows_bytes, marshal.dumps((left_out, share.met_at, streams)))


def _take_over(share: Share, memory: mmap.mmap, found: Any) -> dict[int, Sketch]:
    if share.sampled:
        from deduplab.bound.sketch_file import from_bytes

        return {place: from_bytes(one, "a shard's sketch") for place, one in found.items()}
    left_out, met_at, streams = found
    share.left_out.update(
        (place, [LeftOut(*one) for one in each]) for place, each in left_out.items()
    )
    for name, (objects, tallies) in streams.items():
        share.met_at.setdefault(name, met_at[name])
        stream = share.scanner.stream(name)
        assert isinstance(stream, NativeScan)
        first = c_char.from_buffer(memory)
        counted = {
            number: CountedElsewhere(numbers, addressof(first) + at, _sample_of(sample))
            for number, (numbers, at, sample) in tallies.items()
        }
        stream.absorb(objects, counted)
        del first, counted
    return {}


def _append(file: int, at: int, content: bytes) -> None:
    """Write something behind what is there, and at the end where it begins."""
    os.pwrite(file, content + at.to_bytes(8, "little"), at)


def _as_bytes(error: BaseException) -> bytes:
    import pickle  # late, as it is rarely needed

    try:
        return pickle.dumps(error)
    except (pickle.PicklingError, TypeError, AttributeError):
        return pickle.dumps(OperationFailed(f"{type(error).__name__}: {error}"))


def _error_in(content: bytes) -> BaseException:
    import pickle

    error: BaseException = pickle.loads(content)  # noqa: S301 - as above
    return error


def _sample_values(sample: CompressionSample | None) -> Any:
    if sample is None:
        return None
    chunks = {
        mark: (one.length_bytes, one.count, one.compressed_bytes)
        for mark, one in sample.chunks.items()
    }
    return sample.halvings, chunks


def _sample_of(values: Any) -> CompressionSample | None:
    if values is None:
        return None
    from deduplab.bound.compression import CompressionSample, Sampled

    halvings, chunks = values
    return CompressionSample(halvings, {mark: Sampled(*one) for mark, one in chunks.items()})
