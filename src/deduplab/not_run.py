"""Why planned cells of a run were not run: one file, beside what was committed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from deduplab.errors import StoreError, unwritten
from deduplab.run_files import decoded, sync_directory, write_synced

_FILE_NAME: Final = "not_run.json"


def read_reasons(root: Path) -> dict[str, str]:
    """Return the reasons by cell id, those too of cells that were committed since.

    Raises
    ------
    StoreError
        If they can't be read.
    """
    path = root / _FILE_NAME
    try:
        return decoded(path.read_bytes(), dict[str, str], path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error}") from error


def write_reasons(root: Path, reasons: Mapping[str, str]) -> None:
    """Write the reasons by cell id, whole or not at all.

    Raises
    ------
    StoreError
        If they can't be written.
    """
    path = root / _FILE_NAME
    aside = root / f".staging-not_run-{os.getpid()}"
    try:
        write_synced(aside, msgspec.json.encode(dict(reasons)))
        aside.rename(path)
        sync_directory(root)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise unwritten(f"{path} can't be written", error) from error
