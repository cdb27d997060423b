"""A keystream: random bytes from a seed, the same on every machine, at any place of the stream.

It is AES-128 in counter mode (NIST SP 800-38A), a stream of blocks of 16 bytes
that can be entered at any block.
"""

from __future__ import annotations

from typing import Final

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK_BYTES: Final = 16

# Zeros that stay in the processor's cache: the keystream is what they are encrypted to.
_ZEROS: Final = memoryview(bytes(256 * 1024))


class Keystream:
    """The keystream of a seed and a purpose; other seeds or purposes give unrelated streams."""

    def __init__(self, seed: int, purpose: str) -> None:
        key = blake3(f"deduplab keystream {purpose} {seed}".encode()).digest(16)
        self._cipher = Cipher(algorithms.AES128(key), modes.CTR(bytes(BLOCK_BYTES))).encryptor()

    def read_into(self, first_block: int, out: memoryview) -> None:
        """Fill ``out`` with the stream from a block on (block n begins at byte 16 n)."""
        cipher = self._cipher
        cipher.reset_nonce(first_block.to_bytes(BLOCK_BYTES, "big"))
        length_bytes = len(out)
        if length_bytes <= len(_ZEROS):
            cipher.update_into(_ZEROS[:length_bytes], out)
            return
        for start in range(0, length_bytes, len(_ZEROS)):
            part = out[start : start + len(_ZEROS)]
            cipher.update_into(_ZEROS[: len(part)], part)


def blocks_for(length_bytes: int) -> int:
    """Return how many whole blocks hold a number of bytes."""
    return -(-length_bytes // BLOCK_BYTES)
