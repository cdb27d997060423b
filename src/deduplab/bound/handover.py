"""What a forked process has counted, or what it failed of, in a file in memory that both have open.

First the rows of all tallies as they are, then everything else, and in the last 8 bytes where that
begins. Only a process of ours writes it, and no other has it, so it is read without checks.
"""

from __future__ import annotations

import marshal
import mmap
import os
from ctypes import addressof, c_char
from typing import TYPE_CHECKING, Any, Final

from deduplab.bound.native_scan import NativeScan
from deduplab.bound.native_tally import CountedElsewhere
from deduplab.bound.share import Share
from deduplab.bound.sketch import Sketch
from deduplab.bound.stream import LeftOut
from deduplab.errors import OperationFailed

if TYPE_CHECKING:
    from deduplab.bound.compression import CompressionSample

_PLACE_BYTES: Final = 8


def write_counts(share: Share, file: int) -> None:
    """Write what a share has counted into an open file that is empty."""
    if share.sampled:
        from deduplab.bound.sketch_file import to_bytes

        sketches = {place: to_bytes(sketch) for place, sketch in share.sketches().items()}
        _append(file, 0, marshal.dumps(sketches))
        return
    left_out = {place: [tuple(one) for one in each] for place, each in share.left_out.items()}
    streams: dict[str, tuple[int, dict[int, tuple[bytes, int, Any]]]] = {}
    rows_bytes = 0
    for name, stream in share.scanner.streams.items():
        assert isinstance(stream, NativeScan)
        stream.end_object()
        tallies = {}
        for number, tally in stream.tallies().items():
            tallies[number] = (tally.numbers, rows_bytes, _sample_values(tally.compression))
            rows_bytes += _write(file, tally.rows.content(), rows_bytes)
        streams[name] = (stream.objects, tallies)
    _append(file, rows_bytes, marshal.dumps((left_out, share.met_at, streams)))


def take_counts(share: Share, file: int) -> dict[int, Sketch]:
    """Count what another process has written down.

    Returns
    -------
    dict
        Sketches by the place of their shard, of a sampled scan. What an exact one has
        counted is counted by the share.
    """
    memory = mmap.mmap(file, 0, mmap.MAP_SHARED | mmap.MAP_POPULATE)
    found = marshal.loads(_content(memory))  # noqa: S302 - see above
    if share.sampled:
        from deduplab.bound.sketch_file import from_bytes

        return {place: from_bytes(one, "a shard's sketch") for place, one in found.items()}
    left_out, met_at, streams = found
    share.left_out.update(
        (place, [LeftOut(*one) for one in each]) for place, each in left_out.items()
    )
    begin = c_char.from_buffer(memory)  # as long as this is there, so is the memory
    for name, (objects, tallies) in streams.items():
        share.met_at.setdefault(name, met_at[name])
        stream = share.scanner.stream(name)
        assert isinstance(stream, NativeScan)
        counted = {
            number: CountedElsewhere(numbers, addressof(begin) + at, begin, _sample_of(sample))
            for number, (numbers, at, sample) in tallies.items()
        }
        stream.absorb(objects, counted)
    return {}


def write_error(error: BaseException, file: int) -> None:
    """Write what a process has failed of."""
    import pickle  # late, as it is rarely needed

    try:
        content = pickle.dumps(error)
    except (pickle.PicklingError, TypeError, AttributeError):
        content = pickle.dumps(OperationFailed(f"{type(error).__name__}: {error}"))
    _append(file, 0, content)


def read_error(file: int) -> BaseException:
    """Return what a process has failed of."""
    import pickle

    with mmap.mmap(file, 0) as memory:
        error: BaseException = pickle.loads(_content(memory))  # noqa: S301 - see above
    return error


def _append(file: int, at: int, content: bytes) -> None:
    """Write something behind what is there, and at the end where it begins."""
    _write(file, memoryview(content + at.to_bytes(_PLACE_BYTES, "little")), at)


def _write(file: int, content: memoryview, at: int) -> int:
    """Write something, which takes several calls where it is long; return how many bytes."""
    written = 0
    while written < len(content):
        written += os.pwrite(file, content[written:], at + written)
    return written


def _content(memory: mmap.mmap) -> bytes:
    at = int.from_bytes(memory[-_PLACE_BYTES:], "little")
    return memory[at:-_PLACE_BYTES]


def _sample_values(sample: CompressionSample | None) -> Any:
    if sample is None:
        return None
    chunks = {mark: one.values() for mark, one in sample.chunks.items()}
    return sample.most_bytes, sample.thinning, chunks


def _sample_of(values: Any) -> CompressionSample | None:
    if values is None:
        return None
    from deduplab.bound.compression import CompressionSample, Sampled

    most_bytes, thinning, chunks = values
    found = {mark: Sampled.of(*one) for mark, one in chunks.items()}
    return CompressionSample(most_bytes, thinning, found)
