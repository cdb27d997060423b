"""The content of an export: the raw files of a run, and what is derived from them for readers."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from deduplab.analysis import Figures
from deduplab.analysis.trace_csv import csv_lines
from deduplab.bench.faulty_cells import DAMAGED, faulty_cells
from deduplab.errors import StoreError, unwritten
from deduplab.exports.figures import as_csv, as_parquet
from deduplab.exports.leaks import refuse_leaks, secrets_of
from deduplab.exports.manifest import Manifest
from deduplab.exports.raw_files import is_raw, raw_files, summed
from deduplab.store import Run

_STAGING: Final = ".export"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Content:
    """What is exported of a run.

    Attributes
    ----------
    name
        The folder that it lies in at a target: the run's id.
    files
        Where each of its files lies now, by its path below that folder.
    manifest
        The checksum of each of them.
    created_unix_ns
        When the run began: the time of every file, where a target keeps one.
    damaged
        What is damaged in the run, a sentence each.
    left_out
        How many files a target does not take.
    """

    name: str
    files: Mapping[str, Path]
    manifest: Manifest
    created_unix_ns: int
    damaged: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def total_bytes(self) -> int:
        """The bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())

    @property
    def raw(self) -> Manifest:
        """The checksums of the run's own files alone: what was derived may change with versions."""
        return self.manifest.only(is_raw)

    def smaller(self, largest_bytes: int) -> Content:
        """Return the part whose files are not larger."""
        taken = {k: v for k, v in self.files.items() if v.stat().st_size <= largest_bytes}
        manifest = self.manifest.only(taken.__contains__)
        left_out = self.left_out + len(self.files) - len(taken)
        return replace(self, files=taken, manifest=manifest, left_out=left_out)


@contextmanager
def gathered(run: Run, *, damaged_too: bool = False, parquet: bool = True) -> Iterator[Content]:
    """Give the content of a run's export; the run has to be held (:meth:`Run.locked`).

    What is derived lies in the run's directory until the end, and follows from the raw files
    alone: the same run gives the same bytes.

    Parameters
    ----------
    damaged_too
        Take a run with damaged cells as it is: no figure is made of it, and ``DAMAGED.txt``
        says what is damaged.

    Raises
    ------
    StoreError
        If it is damaged, holds a secret that its plan refers to, or can't be read.
    """
    name = run.header.run_id
    if not _NAME.fullmatch(name):
        raise StoreError(f"the run in {run.root} has an id that can't be a folder: {name!r}")
    damaged = tuple(fault.reason for fault in faulty_cells(run) if fault.kind == DAMAGED)
    if damaged and not damaged_too:
        raise StoreError(_refusal(run, damaged))
    aside = run.root / _STAGING
    shutil.rmtree(aside, ignore_errors=True)  # of an export that was killed: nobody else is here
    try:
        files = raw_files(run.root) | _written(run, damaged, aside, parquet=parquet)
        refuse_leaks(files, secrets_of(run.plan_text))
        yield Content(name, files, summed(files), run.header.created_unix_ns, damaged)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _written(run: Run, damaged: tuple[str, ...], aside: Path, *, parquet: bool) -> dict[str, Path]:
    """Write what is derived into a directory, and return where it lies by path."""
    written = {}
    for path, content in _derived(run, damaged, parquet=parquet):
        written[path] = aside / path
        try:
            written[path].parent.mkdir(parents=True, exist_ok=True)
            written[path].write_bytes(content)
        except OSError as error:
            raise unwritten(f"an export can't be made in {run.root}", error) from error
    return written


def _derived(run: Run, damaged: tuple[str, ...], *, parquet: bool) -> Iterator[tuple[str, bytes]]:
    """Yield what is made of a run for readers: paths, and what belongs there."""
    if damaged:
        here = f"{run.root}/"  # what is of this machine alone
        yield "DAMAGED.txt", "".join(f"{one.replace(here, '')}\n" for one in damaged).encode()
        return
    from deduplab.report import html  # drawing takes long to import

    found = Figures.of(run)
    yield "report.html", html.render(run, found).encode()
    yield "figures.csv", as_csv(found.rows)
    if parquet:
        yield "figures.parquet", as_parquet(found.rows)
    yield "coverage.json", (json.dumps(found.census.as_dict(), indent=2) + "\n").encode()
    for cell_id in sorted(run.traced_ids()):
        trace = run.trace(cell_id)
        if trace is not None:
            lines = "".join(f"{line}\n" for line in csv_lines(trace))
            yield f"traces/{cell_id}.csv", lines.encode()


def _refusal(run: Run, damaged: tuple[str, ...]) -> str:
    more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
    return (
        f"run {run.header.run_id} is damaged, so it is not exported: {damaged[0]}{more}; have it "
        f"measured anew: {run.header.command(run.root / 'plan.toml')} "
        f"--resume {shlex.quote(str(run.root))} --again; "
        "or take it as it is, without figures: --damaged-too"
    )
