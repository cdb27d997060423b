"""The result store: one directory a run, one directory a cell, never a half-written one.

::

    RUN/
      run.json                      header: plan, scale, planned cells, environment; format version
      plan.toml                     the plan as it was read
      lock                          held by the runner while it runs
      not_run.json                  reasons of cells that were not run; a resumed run tries them
      cells/<cell_id>/cell.json     a CellResult
      cells/<cell_id>/latency-<position>.npy   raw nanoseconds, int64, one per timed operation
      cells/<cell_id>/service-<position>.npy   the same of open loops: from when each began
      cells/<cell_id>/trace.npz     what a tracer saw, where there was one
      cells/<cell_id>/checksums.json   the BLAKE3 of each of the cell's files, by name
      set_aside/<cell_id>-<n>/      what a cell gave before it was measured anew; in no figure

A cell is written aside, synced, and renamed into place: what is there is
whole, and a committed cell is the checkpoint that a resumed run skips.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deduplab import cell_directory
from deduplab.cell import CellResult
from deduplab.checksums import read_proven, require_proven
from deduplab.errors import StoreError, unwritten
from deduplab.not_run import read_reasons, write_reasons
from deduplab.run_files import sync_directory, write_synced
from deduplab.run_header import FORMAT_VERSION as FORMAT_VERSION
from deduplab.run_header import PlannedCell as PlannedCell
from deduplab.run_header import RunHeader as RunHeader
from deduplab.run_header import read_header
from deduplab.run_lock import held
from deduplab.set_aside import SetAside
from deduplab.trace import Trace

_STAGING_PREFIX: Final = ".staging-"


class Run:
    """One run's directory."""

    def __init__(self, root: Path, header: RunHeader) -> None:
        self.root = root
        self.header = header
        self._cells = root / "cells"
        self._aside = SetAside(root)
        self._is_held = False

    @classmethod
    def create(
        cls, root: Path, header: RunHeader, plan_text: str, earlier: Mapping[str, Run] | None = None
    ) -> Run:
        """Make the directory of a new run.

        Parameters
        ----------
        earlier
            Cells that it begins with, by id, and the run to take each from.

        Raises
        ------
        StoreError
            If something is there already or the directory can't be written.
        """
        aside = root.with_name(f"{_STAGING_PREFIX}{root.name}-{os.getpid()}")
        try:
            root.parent.mkdir(parents=True, exist_ok=True)
            (aside / "cells").mkdir(parents=True)
            write_synced(aside / "plan.toml", plan_text.encode())
            write_synced(aside / "run.json", msgspec.json.format(msgspec.json.encode(header)))
            for cell_id, run in (earlier or {}).items():
                cell_directory.link(run._cells / cell_id, aside / "cells" / cell_id)
            sync_directory(aside / "cells")
            aside.rename(root)
            sync_directory(root.parent)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise unwritten(f"the run directory {root} can't be made", error) from error
        return cls(root, header)

    @classmethod
    def open(cls, root: Path) -> Run:
        """Open the directory of an existing run.

        Raises
        ------
        StoreError
            If it is not a run, or of another format version.
        """
        return cls(root, read_header(root))

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

    @property
    def taken_over(self) -> dict[str, str]:
        """Where cells were measured that were not measured here: the id of that run, by cell."""
        anew = set(self.set_aside_ids())
        return {k: run_id for k, run_id in self.header.taken_over.items() if k not in anew}

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
            name
            for name in self.committed_ids()
            if (self._cells / name / cell_directory.TRACE).exists()
        )

    def cell(self, cell_id: str) -> CellResult:
        """Return a committed cell.

        Raises
        ------
        StoreError
            If it is not committed or can't be read.
        """
        with self._advising():
            return cell_directory.read_result(self._cells / cell_id)

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

    def latencies_ns(
        self, cell_id: str, position: int, operations: int | None = None
    ) -> npt.NDArray[np.int64]:
        """Return raw latencies of one measurement in nanoseconds, in order of operation.

        Empty where the stage timed no operation.

        Parameters
        ----------
        operations
            How many there must be, of a stage that counts.

        Raises
        ------
        StoreError
            If they are damaged, or are not so many.
        """
        with self._advising():
            directory = self._cells / cell_id
            return cell_directory.read_latencies_ns(directory, position, operations)

    def service_ns(self, cell_id: str, position: int, operations: int) -> npt.NDArray[np.int64]:
        """Return raw service times of an open loop in nanoseconds, in order of operation.

        Raises
        ------
        StoreError
            If they are missing or damaged, or are not so many.
        """
        with self._advising():
            return cell_directory.read_service_ns(self._cells / cell_id, position, operations)

    def require_proven(self) -> None:
        """Look at every file of every committed cell, those too that no figure is made of.

        Raises
        ------
        StoreError
            With the first one that is not what was committed.
        """
        for cell_id in sorted(self.committed_ids()):
            with self._advising():
                require_proven(self._cells / cell_id)

    def whole_cell(self, cell_id: str) -> CellResult:
        """Return a committed cell after a look at every file of it.

        Raises
        ------
        StoreError
            With what is damaged or missing.
        """
        return cell_directory.read_whole(self._cells / cell_id)

    def set_aside(self, cell_id: str) -> Path:
        """Move a committed cell out of the figures, so that it can be measured anew.

        Nothing of it is lost. The run has to be held (:meth:`locked`).

        Raises
        ------
        StoreError
            If it can't be moved.
        """
        if not self._is_held:
            raise RuntimeError(f"run {self.header.run_id} is not held")
        return self._aside.take(self._cells / cell_id)

    def set_aside_ids(self) -> tuple[str, ...]:
        """Return the ids of cells that were set aside, each as often as it was."""
        return self._aside.ids()

    def trace(self, cell_id: str) -> Trace | None:
        """Return what a tracer saw of a cell; None where there is nothing.

        Raises
        ------
        StoreError
            If it can't be read.
        """
        path = self._cells / cell_id / cell_directory.TRACE
        with self._advising():
            content = read_proven(path)
        return None if content is None else Trace.from_bytes(content, str(path))

    def commit(
        self,
        result: CellResult,
        latencies_ns: Mapping[int, npt.NDArray[np.int64]],
        trace: Trace | None = None,
    ) -> None:
        """Write a cell aside, sync it, and rename it into place; a committed one is never replaced.

        Parameters
        ----------
        latencies_ns
            Raw nanoseconds by position; shape (operations,), or (2, operations) of an open
            loop: latencies and service times.

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
            cell_directory.write(aside, result, latencies_ns, trace)
            aside.rename(target)
            sync_directory(self._cells)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise unwritten(
                f"cell {cell_id} can't be written to {self.root}",
                error,
                "; what was committed stays, and the same command goes on with it",
            ) from error

    def not_run(self) -> dict[str, str]:
        """Return why planned cells were not run, by id; those that are committed are left out.

        Raises
        ------
        StoreError
            If the reasons can't be read.
        """
        committed = self.committed_ids()
        reasons = read_reasons(self.root)
        return {cell_id: why for cell_id, why in reasons.items() if cell_id not in committed}

    def keep_not_run(self, reasons: Mapping[str, str]) -> None:
        """Keep why cells were not run, beside what is known of others; they stay to be run.

        Raises
        ------
        StoreError
            If that can't be written.
        """
        write_reasons(self.root, self.not_run() | dict(reasons))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for one runner, and clear away what a killed one left half-written.

        Raises
        ------
        StoreError
            If another process runs it now.
        """
        with held(self.root, self.header.run_id):
            for left in self._cells.glob(f"{_STAGING_PREFIX}*"):
                shutil.rmtree(left, ignore_errors=True)
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False

    @contextmanager
    def _advising(self) -> Iterator[None]:
        """Add to an error about a damaged cell what to do."""
        try:
            yield
        except StoreError as error:
            command = self.header.command(self.root / "plan.toml")
            again = f"{command} --resume {shlex.quote(str(self.root))} --again"
            raise StoreError(
                f"{error}; have the cell set aside and measured anew: {again}"
            ) from error
