"""The cache of real data: one folder a family, below the user's cache folder."""

from __future__ import annotations

from pathlib import Path

from deduplab.cache_folder import cache_folder
from deduplab.datasets.origins.catalogue import origins_of
from deduplab.datasets.origins.origin import Origin


def place(origin: Origin, cache: Path | None = None) -> Path:
    """Return where the file of an origin lies, once it was fetched."""
    return (cache or cache_folder()) / "data" / origin.family / origin.file_name


def cached(family: str, cache: Path | None = None) -> list[Path]:
    """Return the files that a family takes when no source is named; empty if there are none.

    They are those of one kind of origin, the first in the catalogue's order that was
    fetched completely, so that a dataset does not depend on what else was fetched.
    """
    kinds: dict[str, list[Path]] = {}
    for origin in origins_of(family):
        kinds.setdefault(origin.kind, []).append(place(origin, cache))
    for files in kinds.values():
        if all(map(_is_there, files)):
            return files
    return []


def _is_there(file: Path) -> bool:
    """Return whether a file was fetched; who can't look into the cache has none in it."""
    try:
        return file.is_file()
    except OSError:  # as where HOME is another user's; fetching says so
        return False
