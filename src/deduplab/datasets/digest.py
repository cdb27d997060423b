"""The digest of a stream of objects, which does not depend on how it was cut into batches."""

from __future__ import annotations

import numpy as np
from blake3 import blake3

from deduplab.batch import Batch


class StreamDigest:
    """A BLAKE3 over all objects in insertion order, their lengths and their payloads.

    It is the BLAKE3 of two BLAKE3 digests (32 bytes each) one after the other:
    the first over the lengths, each as 8 bytes little-endian, the second over
    the payloads, back to back. Two hashes, because so the payloads of a batch
    are hashed at one go; keys are not included.
    """

    def __init__(self) -> None:
        self._lengths = blake3()
        self._payloads = blake3()

    def update(self, batch: Batch) -> None:
        """Add the objects of a batch."""
        lengths = np.diff(batch.offsets).astype("<i8")
        self._lengths.update(lengths.tobytes())
        self._payloads.update(batch.data[int(batch.offsets[0]) : int(batch.offsets[-1])])

    def hexdigest(self) -> str:
        """Return the digest of everything so far, as 64 hexadecimal digits."""
        return blake3(self._lengths.digest() + self._payloads.digest()).hexdigest()
