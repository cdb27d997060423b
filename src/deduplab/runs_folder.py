"""The folder of runs: which lie in it, and the one that a name means."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from deduplab.errors import StoreError
from deduplab.store import Run

_GOING: Final = ".deleting-"


def run_directories(runs: Path) -> list[Path]:
    """Return the directories of all runs below a directory, but for those half-made."""
    return sorted(path.parent for path in runs.glob("[!.]*/run.json"))


def find_run(runs: Path, name: str) -> Run:
    """Open a run by path, by id (or its unique beginning), or the ``latest``.

    Raises
    ------
    StoreError
        If there is none, or several begin so.
    """
    if (Path(name) / "run.json").is_file():
        return Run.open(Path(name))
    known = run_directories(runs)
    if not known:
        raise StoreError(f"no runs in {runs}; start one with: deduplab run plans/quick.toml")
    if name == "latest":
        return Run.open(max(known, key=_created_unix_ns))
    matching = [path for path in known if path.name == name] or [
        path for path in known if path.name.startswith(name)
    ]
    if len(matching) != 1:
        found = ", ".join(path.name for path in (matching or known))
        raise StoreError(
            f"{'several runs begin' if matching else 'no run'} {name!r}; there: {found}"
        )
    return Run.open(matching[0])


def remove_run(run: Run) -> None:
    """Delete a run, which has to be held; one half-deleted is no run any more.

    Raises
    ------
    StoreError
        If it can't be deleted; where its name could be taken away, the next call of
        :func:`remove_left` deletes what is left.
    """
    going = run.root.with_name(f"{_GOING}{run.root.name}")
    try:
        run.root.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise StoreError(f"run {run.header.run_id} can't be deleted: {error}") from error


def remove_left(runs: Path) -> None:
    """Delete what is left of runs whose deletion was cut short."""
    for going in runs.glob(f"{_GOING}*"):
        shutil.rmtree(going, ignore_errors=True)


def _created_unix_ns(root: Path) -> int:
    """Tell when a run began; of one that can't be opened, when its header was written."""
    try:
        return Run.open(root).header.created_unix_ns
    except StoreError:
        return (root / "run.json").stat().st_mtime_ns
