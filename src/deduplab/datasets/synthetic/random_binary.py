"""The family ``random_binary``: bytes without any structure, which nothing compresses.

With a compressibility target an object consists of units of about 512 bytes: random
bytes, and then a text of 16 bytes, of the object's own, over and over. Each unit has
random bytes of its own, so neither objects nor chunks of them share content. From
1 KiB to 1 MiB the target is met within 4 points, from 4 KiB on within 2; shorter
objects come as near as the compressor's own overhead allows.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.payloads import Payloads, runs
from deduplab.datasets.record_types import content_record
from deduplab.datasets.synthetic.draws import Draws, Numbers
from deduplab.datasets.synthetic.keystream import BLOCK_BYTES, Keystream, blocks_for
from deduplab.datasets.synthetic.units_stream import Bytes, Integers, UnitStream

UNIT_BYTES: Final = 512
_PATTERN_BYTES: Final = 16
# Small objects are made together, as many as stay in a processor's second-level cache.
_BLOCK_BYTES: Final = 256 * 1024
# Enough that no two units are ever alike by chance.
_LEAST_RANDOM_BYTES: Final = 8
# What zstd -1 needs besides the random bytes: for each repeated part, and for an object.
_UNIT_OVERHEAD_BYTES: Final = 4
_OBJECT_OVERHEAD_BYTES: Final = 24


class RandomBinary(Payloads):
    """Payload ``id`` is the keystream from block ``id * blocks of the greatest object`` on.

    Objects of different ids take different blocks, so they share no content; shorter
    ones than a draw of 64 bits could be alike by chance.
    """

    takes_compressibility = True
    least_object_bytes: ClassVar[int] = 8

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.record_type = content_record(spec.payload, "application/octet-stream")
        self._stream = Keystream(spec.seed, "random_binary")
        greatest_bytes = self.sizes.greatest_bytes
        self._stride_blocks = blocks_for(greatest_bytes)
        self._padded = np.empty(0, dtype=np.uint8)
        self._units = (
            CompressibleUnits(spec, greatest_bytes, spec.compressibility_percent)
            if spec.compressibility_percent
            else None
        )

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        if self._units is not None:
            lengths = self.lengths(ids)
            self._units.place(out, ids, np.cumsum(lengths) - lengths, lengths)
        elif self.sizes.fixed_bytes is not None:
            self._write_equal(ids, self.sizes.fixed_bytes, out)
        else:
            start = 0
            for number, length in zip(ids.tolist(), self.lengths(ids).tolist(), strict=True):
                self._stream.read_into(number * self._stride_blocks, out[start : start + length])
                start += length

    def _write_equal(self, ids: npt.NDArray[np.int64], length_bytes: int, out: memoryview) -> None:
        for start, stop in runs(ids):
            part = out[start * length_bytes : stop * length_bytes]
            first_block = int(ids[start]) * self._stride_blocks
            if length_bytes % BLOCK_BYTES == 0:
                self._stream.read_into(first_block, part)
            else:
                self._write_unaligned(first_block, stop - start, length_bytes, part)

    def _write_unaligned(
        self, first_block: int, count: int, length_bytes: int, out: memoryview
    ) -> None:
        """Generate whole blocks for each object, and leave out the rest of its last block."""
        stride_bytes = self._stride_blocks * BLOCK_BYTES
        if len(self._padded) < count * stride_bytes:
            self._padded = np.empty(count * stride_bytes, dtype=np.uint8)
        padded = self._padded[: count * stride_bytes]
        self._stream.read_into(first_block, padded.data)
        rows = np.frombuffer(out, dtype=np.uint8).reshape(count, length_bytes)
        rows[:] = padded.reshape(count, stride_bytes)[:, :length_bytes]


class CompressibleUnits(UnitStream):
    """Units of about 512 bytes of which ``zstd -1`` takes away a share, 1 to 99 percent."""

    def __init__(self, spec: DatasetSpec, greatest_bytes: int, percent: int) -> None:
        unit_bytes = UNIT_BYTES
        if spec.sizes.kind == "fixed":
            # The last unit would have too many random bytes if it were cut short by much.
            units = max(1, (spec.object_bytes + UNIT_BYTES // 2) // UNIT_BYTES)
            unit_bytes = -(-spec.object_bytes // units)
        super().__init__(unit_bytes, greatest_bytes)
        overhead_bytes = (
            _UNIT_OVERHEAD_BYTES + _OBJECT_OVERHEAD_BYTES * unit_bytes // spec.object_bytes
        )
        left_bytes = unit_bytes * (100 - percent) // 100
        self._random_bytes = min(unit_bytes, max(_LEAST_RANDOM_BYTES, left_bytes - overhead_bytes))
        self._unit_blocks = blocks_for(self._random_bytes)
        self._stream = Keystream(spec.seed, "random_binary compressible")
        self._patterns = Draws(spec.seed, "random_binary pattern")
        self._random = np.empty(0, dtype=np.uint8)

    def place(self, out: memoryview, ids: Integers, starts: Integers, lengths: Integers) -> None:
        """Write the first ``lengths`` bytes of the stream of each id to ``starts`` in ``out``."""
        length_bytes = int(lengths[0])
        even = length_bytes % self.unit_bytes == 0 and length_bytes * len(lengths) == len(out)
        if not even or length_bytes > _BLOCK_BYTES or (lengths != length_bytes).any():
            super().place(out, ids, starts, lengths)
            return
        units = np.frombuffer(out, np.uint8).reshape(len(ids), -1, self.unit_bytes)
        at_once = _BLOCK_BYTES // length_bytes
        for first in range(0, len(ids), at_once):
            self._fill(ids[first : first + at_once], units[first : first + at_once])

    def _fill(self, ids: Integers, units: npt.NDArray[np.uint8]) -> None:
        """Make all units of objects where they belong; shape (objects, units, bytes)."""
        count = units.shape[1]
        counters = (ids * self.units_an_object)[:, None] + np.arange(count)
        random = self._random_parts(counters.reshape(-1)).reshape(len(ids), count, -1)
        units[:, :, : self._random_bytes] = random[:, :, : self._random_bytes]
        patterns = self._repeated(ids.astype(np.uint64))
        units[:, :, self._random_bytes :] = patterns[:, None, self._random_bytes :]

    def units(self, counters: Numbers) -> Bytes:
        """Return the units with these counters, back to back."""
        made = self._repeated(counters // np.uint64(self.units_an_object))
        random = self._random_parts(counters.view(np.int64))
        made[:, : self._random_bytes] = random[:, : self._random_bytes]
        return made.reshape(-1)

    def _random_parts(self, counters: Integers) -> npt.NDArray[np.uint8]:
        """Return the random bytes of units, a few more than are used; shape (units, bytes).

        They lie in a buffer that the next call fills anew.
        """
        stride_bytes = self._unit_blocks * BLOCK_BYTES
        if len(self._random) < len(counters) * stride_bytes:
            self._random = np.empty(len(counters) * stride_bytes, dtype=np.uint8)
        random = self._random[: len(counters) * stride_bytes]
        for start, stop in runs(counters):
            part = random[start * stride_bytes : stop * stride_bytes]
            self._stream.read_into(int(counters[start]) * self._unit_blocks, part.data)
        return random.reshape(len(counters), stride_bytes)

    def _repeated(self, owners: Numbers) -> npt.NDArray[np.uint8]:
        """Return units that repeat the text of their objects from end to end."""
        times = -(-self.unit_bytes // _PATTERN_BYTES)
        made = np.empty((len(owners), times), dtype=f"V{_PATTERN_BYTES}")
        made[:] = self._patterns.numbers(owners, 2).T.copy().view(f"V{_PATTERN_BYTES}")
        return made.view(np.uint8)[:, : self.unit_bytes]
