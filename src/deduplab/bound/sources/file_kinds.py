"""What a regular file can be read as, and which of it a file is."""

from __future__ import annotations

from typing import Final

from deduplab.bound.sources.tree import unreadable
from deduplab.errors import PlanError

_COMPRESSED: Final = ("", ".gz", ".xz", ".zst", ".bz2")
_SUFFIXES: Final = {
    "tar": (
        *(".tar" + suffix for suffix in _COMPRESSED),
        *(".tgz", ".txz", ".tzst", ".tbz", ".tbz2"),
    ),
    "zip": (".zip",),
    "parquet": (".parquet", ".pq"),
    "csv": tuple(kind + suffix for kind in (".csv", ".tsv") for suffix in _COMPRESSED),
    "json-lines": tuple(kind + suffix for kind in (".jsonl", ".ndjson") for suffix in _COMPRESSED),
}
_DATABASE_SUFFIXES: Final = (".sqlite", ".sqlite3", ".db", ".db3", ".duckdb", ".ddb")
_MAGIC: Final = {"sqlite": (0, b"SQLite format 3\0"), "duckdb": (8, b"DUCK")}
DATABASES: Final = tuple(_MAGIC)
FORMATS: Final = ("file", *_SUFFIXES, *DATABASES)
"""What a regular file can be read as."""


def kind_of(path: str, *, database: bool) -> str:
    """Return how a file is read: by its name, database files by their first bytes too.

    Those are looked at if the name is a database's, or the file should be one (``database``).
    """
    name = path.lower()
    for kind, suffixes in _SUFFIXES.items():
        if name.endswith(suffixes):
            return kind
    if name.endswith(_DATABASE_SUFFIXES) or database:
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                head = file.read(16)
        except OSError as error:
            raise PlanError(f"source {path!r} {unreadable(error)}") from error
        for kind, (offset, magic) in _MAGIC.items():
            if head[offset:].startswith(magic):
                return kind
    return "file"
