"""Grains: the chunk sizes at which unique bytes are counted, by stable names.

The names are keys of :attr:`deduplab.dataset_spec.Manifest.grain_unique_bytes`, so
they are part of the result format and never change their meaning.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from deduplab.bound.chunkers import (
    cut_points,
    fixed_cut_points,
    greatest_chunk_bytes,
    least_chunk_bytes,
)


class Grain(NamedTuple):
    """One way to cut payloads.

    ``size_bytes`` is the block size, or the average of a content-defined chunk.
    """

    name: str
    size_bytes: int
    content_defined: bool

    @property
    def never_cut_bytes(self) -> int:
        """Payloads up to this length stay whole, whatever they contain."""
        return least_chunk_bytes(self.size_bytes) if self.content_defined else self.size_bytes

    @property
    def most_bytes(self) -> int:
        """No chunk is longer."""
        return greatest_chunk_bytes(self.size_bytes) if self.content_defined else self.size_bytes

    def cut(self, payload: bytes | memoryview) -> list[int]:
        """Return the end of each chunk as an offset in bytes; empty for an empty payload."""
        if self.content_defined:
            return cut_points(payload, self.size_bytes)
        return fixed_cut_points(len(payload), self.size_bytes)


WHOLE: Final = "whole"
FIXED_4096: Final = "fixed-4096"
FIXED_8192: Final = "fixed-8192"
FIXED_16384: Final = "fixed-16384"
FIXED_65536: Final = "fixed-65536"
FIXED_131072: Final = "fixed-131072"
CDC_4096: Final = "cdc-4096"
CDC_8192: Final = "cdc-8192"
CDC_16384: Final = "cdc-16384"
CDC_65536: Final = "cdc-65536"

GRAINS: Final = {
    grain.name: grain
    for grain in (
        Grain(FIXED_4096, 4096, content_defined=False),
        Grain(FIXED_8192, 8192, content_defined=False),
        Grain(FIXED_16384, 16384, content_defined=False),
        Grain(FIXED_65536, 65536, content_defined=False),
        Grain(FIXED_131072, 131072, content_defined=False),
        Grain(CDC_4096, 4096, content_defined=True),
        Grain(CDC_8192, 8192, content_defined=True),
        Grain(CDC_16384, 16384, content_defined=True),
        Grain(CDC_65536, 65536, content_defined=True),
    )
}
"""The grains that cut payloads."""

ALL_GRAINS: Final = (WHOLE, *GRAINS)
"""The names of all grains: whole objects, which are never cut, and those that cut."""


def kind(name: str) -> str:
    """Return ``whole``, ``fixed`` or ``content-defined``.

    Raises
    ------
    KeyError
        If there is no such grain in :data:`ALL_GRAINS`.
    """
    if name == WHOLE:
        return "whole"
    return "content-defined" if GRAINS[name].content_defined else "fixed"


def cut(payload: bytes | memoryview, grain: str) -> list[int]:
    """Cut a payload at a grain, such as ``fixed-4096``; see :meth:`Grain.cut`.

    Raises
    ------
    KeyError
        If there is no such grain in :data:`GRAINS`.
    """
    return GRAINS[grain].cut(payload)
