"""Arrow arrays as bytes: what a value is, what a row is, without a loop over values.

A value's bytes are those that Arrow holds for it before any encoding: numbers,
times and decimals little-endian in their fixed width (a boolean as one byte),
text as UTF-8, binary data as it is. A list's are its elements' one after
another (each with its length before it where lengths vary, or the list holds a
NULL), a struct's are built like a row. NULL has no bytes. Source of the layouts:
Apache Arrow, "Columnar Format".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deduplab.bound.stream import Block

_LENGTH = pa.binary(4)


def as_binary(array: Any) -> Any:
    """Return an array's values as a ``large_binary`` array of the same length.

    Raises
    ------
    pyarrow.ArrowException
        If the array is damaged, or of a type that has no bytes.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks)
    if isinstance(array.type, pa.BaseExtensionType):
        return as_binary(array.storage)
    plain = _decoded(array)
    kind = plain.type
    if pa.types.is_null(kind):
        return pa.nulls(len(plain), pa.large_binary())
    if pa.types.is_struct(kind):
        return _null_like(row_array(plain.flatten()), plain)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _lists(plain)
    width_bytes = _fixed_width(kind)
    if width_bytes:
        return _fixed(plain, width_bytes)
    return plain.cast(pa.large_binary())


def row_array(columns: Sequence[Any]) -> Any:
    """Return the rows of columns as a ``large_binary`` array; see :mod:`..sources.table`."""
    parts: list[Any] = []
    for column in columns:
        values = as_binary(column)
        lengths = pc.fill_null(pc.binary_length(values), -1)
        heads = np.ascontiguousarray(lengths.to_numpy(zero_copy_only=False), dtype=">i4")
        parts += [_from_fixed(heads.view(np.uint8), 4), values]
    return pc.binary_join_element_wise(
        *parts, pa.scalar(b"", pa.large_binary()), null_handling="replace", null_replacement=b""
    )


def block_of_array(values: Any, stream: str) -> Block:
    """Return a ``large_binary`` array as a block, without a copy where nothing is NULL."""
    if values.null_count:
        values = pc.fill_null(values, b"")
    _, offsets_buffer, data = values.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[
        values.offset : values.offset + len(values) + 1
    ]
    # The offsets are a view of the array's own buffer; the block keeps it alive.
    # Arrow's memory says that it holds signed characters, and what cuts without C wants bytes.
    view = memoryview(data).cast("B") if data is not None and data.size else memoryview(b"")
    return Block(view, offsets, False, stream)


def _decoded(array: Any) -> Any:
    """Return the array without an encoding: plain values, plain lists, booleans as bytes."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _decoded(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _decoded(pc.run_end_decode(array))
    if pa.types.is_boolean(kind):
        return array.cast(pa.uint8())
    if pa.types.is_fixed_size_list(kind):
        return array.cast(pa.large_list(kind.value_type))
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
        lists = pa.ListArray.from_arrays(array.offsets, entries)
        return pc.if_else(array.is_valid(), lists, pa.scalar(None, lists.type))
    return array


def _fixed_width(kind: Any) -> int:
    """Return the bytes of a value where all have the same number, else 0."""
    if pa.types.is_binary(kind) or pa.types.is_string(kind):
        return 0
    try:
        return int(kind.bit_width) // 8
    except ValueError:
        return 0


def _fixed(array: Any, width_bytes: int) -> Any:
    present = array.drop_null() if array.null_count else array
    data = present.buffers()[1]
    raw = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
    start = present.offset * width_bytes
    raw = raw[start : start + len(present) * width_bytes]
    if not array.null_count:
        return _from_fixed(raw, width_bytes)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, dtype=np.int64)
    np.cumsum(valid * width_bytes, out=offsets[1:])
    return _null_like(_large_binary(offsets, raw), array)


def _from_fixed(raw: npt.NDArray[np.uint8], width_bytes: int) -> Any:
    count = len(raw) // width_bytes
    return _large_binary(np.arange(count + 1, dtype=np.int64) * width_bytes, raw)


def _large_binary(offsets: npt.NDArray[np.int64], raw: npt.NDArray[np.uint8]) -> Any:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(raw)]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _null_like(values: Any, array: Any) -> Any:
    """Return the values with NULL where the array has it."""
    if not array.null_count:
        return values
    return pc.if_else(array.is_valid(), values, pa.scalar(None, pa.large_binary()))


def _elements(elements: Any, lengths: npt.NDArray[np.int64]) -> Any:
    """Return what each element of some lists adds to its list, given the lists' lengths.

    It depends on its own list alone: the same list has the same bytes in all batches.
    """
    if not _fixed_width(_decoded(elements).type):
        return row_array([elements])
    if not elements.null_count:
        return as_binary(elements)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    nulls = elements.is_null().to_numpy(zero_copy_only=False)
    with_null = np.bincount(owners, weights=nulls, minlength=len(lengths)) > 0
    return pc.if_else(pa.array(with_null[owners]), row_array([elements]), as_binary(elements))


def _lists(array: Any) -> Any:
    """Return lists as their elements' bytes one after another."""
    present = array.drop_null() if array.null_count else array
    lengths = np.zeros(len(array), dtype=np.int64)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    lengths[valid] = pc.list_value_length(present).to_numpy(zero_copy_only=False)
    values = _elements(present.flatten(), lengths)
    _, offsets_buffer, data = values.buffers()
    inner = np.frombuffer(offsets_buffer, dtype=np.int64)[values.offset :]
    ends = np.zeros(len(array) + 1, dtype=np.int64)
    np.cumsum(lengths, out=ends[1:])
    raw = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
    return _null_like(_large_binary(inner[ends].copy(), raw), array)
