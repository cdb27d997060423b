"""The family ``random_binary``: bytes without any structure, which nothing compresses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deduplab.datasets.keystream import BLOCK_BYTES, Keystream, blocks_for
from deduplab.datasets.payloads import Payloads, runs
from deduplab.model import DatasetSpec


class RandomBinary(Payloads):
    """Payload ``id`` is the keystream from block ``id * blocks of an object`` on.

    Objects of different ids take different blocks, so they share no content.
    """

    def __init__(self, spec: DatasetSpec, unique: int) -> None:
        super().__init__(spec, unique)
        self._stream = Keystream(spec.seed, "random_binary")
        self._stride_blocks = blocks_for(spec.object_bytes)
        self._padded = np.empty(0, dtype=np.uint8)

    def write(self, ids: npt.NDArray[np.int64], out: memoryview) -> None:
        """Write the payloads with these ids back to back into ``out``, which they fill."""
        size_bytes = self.object_bytes
        for start, stop in runs(ids):
            part = out[start * size_bytes : stop * size_bytes]
            first_block = int(ids[start]) * self._stride_blocks
            if size_bytes % BLOCK_BYTES == 0:
                self._stream.read_into(first_block, part)
            else:
                self._write_unaligned(first_block, stop - start, part)

    def _write_unaligned(self, first_block: int, count: int, out: memoryview) -> None:
        """Generate whole blocks for each object, and leave out the rest of its last block."""
        stride_bytes = self._stride_blocks * BLOCK_BYTES
        if len(self._padded) < count * stride_bytes:
            self._padded = np.empty(count * stride_bytes, dtype=np.uint8)
        padded = self._padded[: count * stride_bytes]
        self._stream.read_into(first_block, padded.data)
        rows = np.frombuffer(out, dtype=np.uint8).reshape(count, self.object_bytes)
        rows[:] = padded.reshape(count, stride_bytes)[:, : self.object_bytes]
