"""What a run has, as it is read: its plan, and the cells that are committed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from deduplab import cell_directory
from deduplab.cell import CellResult
from deduplab.checksums import OnceProvenFiles, ProvenFiles
from deduplab.errors import StoreError
from deduplab.not_run import read_reasons
from deduplab.run_header import RunHeader
from deduplab.set_aside import SetAside
from deduplab.trace import Trace


class RunRecord:
    """One run's directory, to be read; :class:`deduplab.store.Run` is what it is written by."""

    def __init__(self, root: Path, header: RunHeader) -> None:
        self.root = root
        self.header = header
        self._cells = root / "cells"
        self._aside = SetAside(root)
        self._files = ProvenFiles()

    def read_once(self) -> Self:
        """Return the run for one command that needs all of it: each file is looked at once.

        To be used where nothing is committed meanwhile.
        """
        once = type(self)(self.root, self.header)
        once._files = OnceProvenFiles()
        return once

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
            return cell_directory.read_result(self._cells / cell_id, self._files.read)

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
            return cell_directory.read_latencies_ns(
                directory, position, operations, self._files.read
            )

    def service_ns(self, cell_id: str, position: int, operations: int) -> npt.NDArray[np.int64]:
        """Return raw service times of an open loop in nanoseconds, in order of operation.

        Raises
        ------
        StoreError
            If they are missing or damaged, or are not so many.
        """
        with self._advising():
            directory = self._cells / cell_id
            return cell_directory.read_service_ns(directory, position, operations, self._files.read)

    def require_proven(self) -> None:
        """Look at every file of every committed cell, those too that no figure is made of.

        Raises
        ------
        StoreError
            With the first one that is not what was committed.
        """
        for cell_id in sorted(self.committed_ids()):
            with self._advising():
                self._files.require(self._cells / cell_id)

    def whole_cell(self, cell_id: str) -> CellResult:
        """Return a committed cell after a look at every file of it.

        Raises
        ------
        StoreError
            With what is damaged or missing.
        """
        return cell_directory.read_whole(self._cells / cell_id)

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
            content = self._files.read(path)
        return None if content is None else Trace.from_bytes(content, str(path))

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
