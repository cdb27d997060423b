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

import errno
import os
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
from deduplab.errors import RunExists, StoreError, unwritten
from deduplab.not_run import write_reasons
from deduplab.run_files import sync_directory, write_synced
from deduplab.run_header import FORMAT_VERSION as FORMAT_VERSION
from deduplab.run_header import PlannedCell as PlannedCell
from deduplab.run_header import RunHeader as RunHeader
from deduplab.run_header import read_header
from deduplab.run_lock import held
from deduplab.run_record import RunRecord
from deduplab.trace import Trace

_STAGING_PREFIX: Final = ".staging-"


class Run(RunRecord):
    """One run's directory, with what a runner does to it."""

    def __init__(self, root: Path, header: RunHeader) -> None:
        super().__init__(root, header)
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
        RunExists
            If there is one of that name already.
        StoreError
            If the directory can't be written.
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
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and root.is_dir():
                raise RunExists(f"there is a run {root} already") from error
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
