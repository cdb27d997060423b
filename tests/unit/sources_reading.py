"""Reads a source to its end, and holds it to what a block promises."""

from __future__ import annotations

from itertools import pairwise

from deduplab.bound.stream import Source


def objects_of(source: Source) -> dict[str, list[bytes]]:
    """Return every stream's objects, put together from the blocks."""
    found: dict[str, list[bytes]] = {}
    open_streams: set[str] = set()
    for block in source.blocks():
        assert block.data.ndim == 1
        assert block.data.format == "B"
        assert block.data.contiguous
        bounds = block.offsets.tolist()
        assert len(bounds) > 1, "a block has an object"
        assert bounds[0] >= 0
        assert bounds[-1] <= block.data.nbytes
        assert all(start <= stop for start, stop in pairwise(bounds))
        objects = found.setdefault(block.stream, [])
        pieces = [bytes(block.data[start:stop]) for start, stop in pairwise(bounds)]
        if block.stream in open_streams:
            objects[-1] += pieces.pop(0)
        objects += pieces
        if block.continues:
            open_streams.add(block.stream)
        else:
            open_streams.discard(block.stream)
    assert not open_streams, "an object is left open at the end"
    return found


def rows_of(source: Source) -> list[bytes]:
    """Return the objects of the main stream."""
    return objects_of(source).get("", [])


def reasons(source: Source) -> str:
    """Return all that was left out, as one text."""
    return "\n".join(f"{left.name}: {left.reason}" for left in source.left_out)
