"""The directory of a committed cell: what lies in it, and what of that is damaged."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deduplab.cell import CellResult
from deduplab.checksums import read_proven, require_proven, write_checksums
from deduplab.errors import StoreError
from deduplab.model import Stage
from deduplab.run_files import decoded, sync_directory, write_synced
from deduplab.trace import Trace

Reader = Callable[[Path], bytes | None]
"""Returns what a proven file holds; None where there is none."""

TRACE: Final = "trace.npz"
_RAW: Final = ("latency", "service")


def write(
    directory: Path,
    result: CellResult,
    latencies_ns: Mapping[int, npt.NDArray[np.int64]],
    trace: Trace | None = None,
) -> None:
    """Make the directory of a cell, synced, with the checksums of all its files."""
    directory.mkdir()
    for position, values in latencies_ns.items():
        # A second row of an open loop: service times.
        for name, row in zip(_RAW, np.atleast_2d(np.asarray(values, dtype=np.int64)), strict=False):
            raw = io.BytesIO()  # numpy does not say of its own files that a disk is full
            np.save(raw, row, allow_pickle=False)
            write_synced(directory / f"{name}-{position}.npy", raw.getvalue())
    if trace is not None:
        write_synced(directory / TRACE, trace.to_bytes())
    write_synced(directory / "cell.json", msgspec.json.encode(result))
    write_checksums(directory)  # the last file, so that it covers all
    sync_directory(directory)


def read_result(directory: Path, read: Reader = read_proven) -> CellResult:
    """Return what a cell gave.

    Raises
    ------
    StoreError
        If that is damaged.
    """
    path = directory / "cell.json"
    raw = read(path)
    if raw is None:
        raise StoreError(f"{path} can't be read: it is missing")
    return decoded(raw, CellResult, path)


def read_latencies_ns(
    directory: Path, position: int, operations: int | None = None, read: Reader = read_proven
) -> npt.NDArray[np.int64]:
    """Return raw latencies of one measurement in nanoseconds; empty if there is no file of them.

    Parameters
    ----------
    operations
        How many there must be; fewer are damage, and not a short stage.

    Raises
    ------
    StoreError
        If they are damaged, or are not so many.
    """
    return _read_raw_ns(directory, "latency", position, operations, read)


def read_service_ns(
    directory: Path, position: int, operations: int, read: Reader = read_proven
) -> npt.NDArray[np.int64]:
    """Return raw service times of an open loop in nanoseconds, one an operation.

    Raises
    ------
    StoreError
        If they are missing or damaged, or are not so many.
    """
    return _read_raw_ns(directory, "service", position, operations, read)


def _read_raw_ns(
    directory: Path, name: str, position: int, operations: int | None, read: Reader
) -> npt.NDArray[np.int64]:
    path = directory / f"{name}-{position}.npy"
    loaded: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
    raw = read(path)
    try:
        if raw is not None:
            loaded = np.load(io.BytesIO(raw), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path} can't be read: {error}") from error
    if operations is not None and len(loaded) != operations:
        raise StoreError(
            f"{path} has {len(loaded)} values of the {operations} operations of that stage: "
            "it is missing or damaged"
        )
    return loaded


def read_whole(directory: Path) -> CellResult:
    """Return what a cell gave, after a look at every file of it.

    Raises
    ------
    StoreError
        With the first thing that is damaged or missing.
    """
    require_proven(directory)
    result = read_result(directory)
    if result.cell.cell_id != directory.name:
        raise StoreError(f"{directory} holds another cell, {result.cell.cell_id}")
    for position, measurement in enumerate(result.measurements):
        # Maintenance is timed as a whole.
        if measurement.outcome.ok and measurement.stage is not Stage.RECLAIM:
            read_latencies_ns(directory, position, measurement.operations)
            if measurement.rate_per_s is not None:
                read_service_ns(directory, position, measurement.operations)
    return result


def link(directory: Path, target: Path) -> None:
    """Give a cell's files a second name each, in a directory of their own.

    A committed file is never written to, so both stay what they are, whichever goes first.
    """
    shutil.copytree(directory, target, copy_function=os.link)
    sync_directory(target)
