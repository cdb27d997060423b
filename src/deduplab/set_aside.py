"""Cells that were set aside to be measured anew: kept beside the run's others, in no figure."""

from __future__ import annotations

from pathlib import Path

from deduplab.errors import StoreError, unwritten
from deduplab.run_files import sync_directory


class SetAside:
    """The directory ``set_aside`` of a run: ``<cell_id>-<n>``, the first of a cell with n = 1."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "set_aside"

    def take(self, cell: Path) -> Path:
        """Move a committed cell's directory here and return where it lies now; nothing is lost.

        Raises
        ------
        StoreError
            If it can't be moved.
        """
        number = 1
        while (target := self.directory / f"{cell.name}-{number}").exists():
            number += 1
        try:
            self.directory.mkdir(exist_ok=True)
            sync_directory(self.directory.parent)
            cell.rename(target)
            # The new name first: a power failure between the two may leave both, but never none.
            sync_directory(self.directory)
            sync_directory(cell.parent)
        except OSError as error:
            raise unwritten(f"{cell} can't be set aside as {target}", error) from error
        return target

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all cells that lie here, each as often as it was set aside.

        Raises
        ------
        StoreError
            If that can't be read.
        """
        try:
            names = sorted(entry.name for entry in self.directory.iterdir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StoreError(f"{self.directory} can't be read: {error}") from error
        return tuple(name.rpartition("-")[0] for name in names)
