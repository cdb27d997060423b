"""The folder of runs: which lie in it, and the one that a name means."""

from __future__ import annotations

from pathlib import Path

from deduplab.errors import StoreError
from deduplab.store import Run


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


def _created_unix_ns(root: Path) -> int:
    """Tell when a run began; of one that can't be opened, when its header was written."""
    try:
        return Run.open(root).header.created_unix_ns
    except StoreError:
        return (root / "run.json").stat().st_mtime_ns
