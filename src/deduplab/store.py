"""The result store: one directory a run, one directory a cell, never a half-written one.

::

    RUN/
      run.json                      header: plan, scale, planned cells, environment; format version
      plan.toml                     the plan as it was read
      lock                          held by the runner while it runs
      not_run.json                  reasons of cells that were not run; a resumed run tries them
      cells/<cell_id>/cell.json     a CellResult
      cells/<cell_id>/latency-<position>.npy   raw nanoseconds, int64, one per timed operation
      cells/<cell_id>/trace.npz     what a tracer saw, where there was one

A cell is written aside, synced, and renamed into place: what is there is
whole, and a committed cell is the checkpoint that a resumed run skips.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from deduplab.cell import CellResult
from deduplab.errors import StoreError
from deduplab.run_header import FORMAT_VERSION as FORMAT_VERSION
from deduplab.run_header import PlannedCell as PlannedCell
from deduplab.run_header import RunHeader as RunHeader
from deduplab.trace import Trace

_T = TypeVar("_T")
_STAGING_PREFIX: Final = ".staging-"
_TRACE: Final = "trace.npz"


class Run:
    """One run's directory."""

    def __init__(self, root: Path, header: RunHeader) -> None:
        self.root = root
        self.header = header
        self._cells = root / "cells"

    @classmethod
    def create(cls, root: Path, header: RunHeader, plan_text: str) -> Run:
        """Make the directory of a new run.

        Raises
        ------
        StoreError
            If something is there already or the directory can't be written.
        """
        try:
            root.parent.mkdir(parents=True, exist_ok=True)
            aside = root.with_name(f"{_STAGING_PREFIX}{root.name}-{os.getpid()}")
            (aside / "cells").mkdir(parents=True)
            _write_synced(aside / "plan.toml", plan_text.encode())
            _write_synced(aside / "run.json", msgspec.json.format(msgspec.json.encode(header)))
            aside.rename(root)
            _sync_directory(root.parent)
        except OSError as error:
            raise StoreError(f"the run directory {root} can't be made: {error}") from error
        return cls(root, header)

    @classmethod
    def open(cls, root: Path) -> Run:
        """Open the directory of an existing run.

        Raises
        ------
        StoreError
            If it is not a run, or of another format version.
        """
        path = root / "run.json"
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{root} is not a run: {error}") from error
        try:
            version = msgspec.json.decode(raw).get("format_version")
        except (msgspec.DecodeError, AttributeError) as error:
            raise StoreError(f"{path} can't be read: {error}") from error
        if version != FORMAT_VERSION:
            raise StoreError(
                f"{path} has format version {version}, this deduplab reads {FORMAT_VERSION}; "
                "use the deduplab that wrote it"
            )
        return cls(root, _decode(raw, RunHeader, path))

    @property
    def plan_text(self) -> str:
        """The plan file as it was read when the run began.

        Raises
        ------
        StoreError
            If it can't be read.
        """
        path = self.root / "plan.toml"
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path} can't be read: {error}") from error

    def committed_ids(self) -> frozenset[str]:
        """Return the ids of all committed cells."""
        try:
            return frozenset(
                entry.name for entry in self._cells.iterdir() if not entry.name.startswith(".")
            )
        except OSError as error:
            raise StoreError(f"the cells of {self.root} can't be read: {error}") from error

    def traced_ids(self) -> frozenset[str]:
        """Return the ids of the committed cells that have a trace; none is read."""
        return frozenset(
            name for name in self.committed_ids() if (self._cells / name / _TRACE).exists()
        )

    def cell(self, cell_id: str) -> CellResult:
        """Return a committed cell.

        Raises
        ------
        StoreError
            If it is not committed or can't be read.
        """
        path = self._cells / cell_id / "cell.json"
        try:
            return _decode(path.read_bytes(), CellResult, path)
        except (OSError, StoreError) as error:
            what = error if isinstance(error, StoreError) else f"{path} can't be read: {error}"
            raise StoreError(
                f"{what}; remove {path.parent}, and the command that made the run measures "
                "that cell anew"
            ) from error

    def cells(self) -> Iterator[CellResult]:
        """Yield all committed cells, ordered by id.

        Raises
        ------
        StoreError
            If one can't be read, or lies there twice: it would count twice.
        """
        places: dict[str, str] = {}
        for name in sorted(self.committed_ids()):
            result = self.cell(name)
            first = places.setdefault(result.cell.cell_id, name)
            if first != name:
                raise StoreError(
                    f"{self._cells / name} and {first} hold the same cell, which would count "
                    "twice; remove the copy"
                )
            yield result

    def latencies_ns(self, cell_id: str, position: int) -> npt.NDArray[np.int64]:
        """Return raw latencies of one measurement in nanoseconds, in order of operation.

        Empty where the stage timed no operation.
        """
        path = self._cells / cell_id / f"latency-{position}.npy"
        if not path.exists():
            return np.empty(0, dtype=np.int64)
        try:
            loaded: npt.NDArray[np.int64] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise StoreError(f"{path} can't be read: {error}") from error
        return loaded

    def trace(self, cell_id: str) -> Trace | None:
        """Return what a tracer saw of a cell; None where there is nothing.

        Raises
        ------
        StoreError
            If it can't be read.
        """
        path = self._cells / cell_id / _TRACE
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error}") from error
        return Trace.from_bytes(content, str(path))

    def commit(
        self,
        result: CellResult,
        latencies_ns: Mapping[int, npt.NDArray[np.int64]],
        trace: Trace | None = None,
    ) -> None:
        """Write a cell aside, sync it, and rename it into place; a committed one is never replaced.

        Raises
        ------
        StoreError
            If the cell is committed already or can't be written.
        """
        cell_id = result.cell.cell_id
        aside = self._cells / f"{_STAGING_PREFIX}{cell_id}-{os.getpid()}"
        target = self._cells / cell_id
        if target.exists():
            raise StoreError(f"cell {cell_id} is committed already in {self.root}")
        try:
            aside.mkdir()
            for position, values in latencies_ns.items():
                with (aside / f"latency-{position}.npy").open("wb") as file:
                    np.save(file, np.asarray(values, dtype=np.int64), allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
            if trace is not None:
                _write_synced(aside / _TRACE, trace.to_bytes())
            _write_synced(aside / "cell.json", msgspec.json.encode(result))
            _sync_directory(aside)
            aside.rename(target)
            _sync_directory(self._cells)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise StoreError(
                f"cell {cell_id} can't be written to {self.root}: {error}; what was committed "
                "stays, and the same command goes on with it"
            ) from error

    def not_run(self) -> dict[str, str]:
        """Return why planned cells were not run, by id; those that are committed are left out.

        Raises
        ------
        StoreError
            If the reasons can't be read.
        """
        path = self.root / "not_run.json"
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error}") from error
        committed = self.committed_ids()
        reasons = _decode(raw, dict[str, str], path)
        return {cell_id: why for cell_id, why in reasons.items() if cell_id not in committed}

    def keep_not_run(self, reasons: Mapping[str, str]) -> None:
        """Keep why cells were not run, beside what is known of others; they stay to be run.

        Raises
        ------
        StoreError
            If that can't be written.
        """
        path = self.root / "not_run.json"
        aside = self.root / f"{_STAGING_PREFIX}not_run-{os.getpid()}"
        try:
            _write_synced(aside, msgspec.json.encode(self.not_run() | dict(reasons)))
            aside.rename(path)
            _sync_directory(self.root)
        except OSError as error:
            raise StoreError(f"{path} can't be written: {error}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for one runner, and clear away what a killed one left half-written.

        Raises
        ------
        StoreError
            If another process runs it now.
        """
        try:
            lock = (self.root / "lock").open("a")
        except OSError as error:
            raise StoreError(f"run {self.header.run_id} can't be written: {error}") from error
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreError(
                    f"run {self.header.run_id} is being run by another process; wait for it, or "
                    "start another run with --fresh (both would disturb each other's times)"
                ) from error
            for left in self._cells.glob(f"{_STAGING_PREFIX}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield


def _decode(raw: bytes, kind: type[_T], path: Path) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise StoreError(f"{path} can't be read: {error}") from error


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
