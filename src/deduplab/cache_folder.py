"""The user's cache folder: what was fetched and what was installed lies below it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from deduplab.errors import PlanError

CACHE_VARIABLE: Final = "DEDUPLAB_CACHE"


def cache_folder() -> Path:
    """Return the folder; it need not exist yet.

    ``DEDUPLAB_CACHE`` if it is set, else ``deduplab`` below ``XDG_CACHE_HOME``
    (XDG Base Directory Specification, a relative path is not heeded) or ``~/.cache``.

    Raises
    ------
    PlanError
        If a home folder is needed and this user has none, as in a container that
        runs under a number without an account.
    """
    try:
        own = os.environ.get(CACHE_VARIABLE)
        if own:
            return Path(own).expanduser().absolute()
        shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "deduplab"
    except RuntimeError as error:
        raise PlanError(
            f"there is no home folder to keep anything in: {error} "
            f"Set {CACHE_VARIABLE} to a folder, or HOME"
        ) from error
