"""From what a person writes to a source: URLs by their scheme, paths by a look at them."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from deduplab.bound.sources.asked import TABLE_OPTIONS, Asked, merged, page_bytes
from deduplab.bound.sources.base import NATURAL, STANDARD_INPUT
from deduplab.bound.sources.file_kinds import DATABASES, FORMATS, kind_of
from deduplab.bound.sources.tree import unreadable
from deduplab.bound.stream import Source
from deduplab.errors import PlanError, unknown_name

if TYPE_CHECKING:
    from deduplab.bound.sources.sql import SqlSource

_SERVERS: Final = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mariadb": "mariadb",
    "mysql": "mariadb",
    "clickhouse": "clickhouse",
}
SCHEMES: Final = (*_SERVERS, "s3", "kafka")


def open_source(
    text: str,
    *,
    table: str | None = None,
    query: str | None = None,
    columns: Sequence[str] | None = None,
    order: str = NATURAL,
    column_pages: bool | int | str = False,
    kind: str | None = None,
    delimiter: str | None = None,
    expansion: int | None = None,
) -> Source:
    """Return the source that a text names. Servers are asked only when it is read.

    Parameters
    ----------
    text
        ``-`` for standard input; a path (folder, file, archive, table file,
        block device, named pipe); or a URL: ``postgresql://user@host/database``,
        ``mariadb://...``, ``clickhouse://...``, ``s3://bucket/prefix?endpoint=...``,
        ``kafka://host/topic``. Secrets by ``?secret=env:NAME`` or ``file:PATH``.
        ``table``, ``query``, ``columns`` (with commas), ``order`` and
        ``column_pages`` may stand in a URL too.
    table, query
        Of a database: one table, or a query. Without both, all tables.
    columns
        Columns to scan; None for all, empty for rows alone.
    order
        ``natural``, ``shuffled`` or ``sorted:COLUMN``. Databases order the whole
        answer, files windows of about 64 MiB.
    column_pages
        Columns in runs of values: True for 64 KiB, or a number of bytes.
    kind
        How to read a file, whatever its name: one of :data:`FORMATS`.
    delimiter
        Of a CSV file; a comma unless said (a tab for ``.tsv``).
    expansion
        How often its own length a compressed file may become, above 1 GiB.

    Raises
    ------
    PlanError
        If there is no such thing, or an option has no meaning for it.
    """
    asked = Asked(
        table=table,
        query=query,
        columns=None if columns is None else tuple(columns),
        order=order,
        page_bytes=page_bytes(column_pages),
        delimiter=delimiter,
        expansion=expansion,
    )
    if kind is not None and (text == STANDARD_INPUT or "://" in text):
        raise PlanError(f"{text}: only a file can be read as {kind!r}; leave the format out")
    if text == STANDARD_INPUT:
        from deduplab.bound.sources.raw import StandardInput

        asked.check("standard input", text)
        return StandardInput()
    if "://" in text:
        return _server(text, asked)
    return _path(text, kind, asked)


# Modules of sources are imported when one is opened: a scan of files needs no other.


def _server(text: str, asked: Asked) -> Source:
    from deduplab.bound.sources.address import parse_address

    scheme = text.partition("://")[0].lower()
    if scheme in _SERVERS:
        kind = _SERVERS[scheme]
        maker, known = _sql_maker(kind)
        address, asked = merged(parse_address(text, (*known, *TABLE_OPTIONS)), asked)
        asked.check(kind, address.shown)
        return maker(address, table=asked.table, query=asked.query, options=asked.options)
    if scheme == "s3":
        from deduplab.bound.sources import s3, s3_bucket

        address = parse_address(text, s3_bucket.OPTIONS)
        asked.check("s3", address.shown)
        return s3.S3Source(address)
    if scheme == "kafka":
        from deduplab.bound.sources import kafka

        address, asked = merged(parse_address(text, (*kafka.OPTIONS, *TABLE_OPTIONS)), asked)
        asked.check("kafka", address.shown)
        return kafka.KafkaSource(address, asked.options)
    raise PlanError(f"{unknown_name('kind of source', scheme, SCHEMES)} (before '://')")


def _sql_maker(kind: str) -> tuple[Callable[..., SqlSource], tuple[str, ...]]:
    from deduplab.bound.sources import clickhouse, mariadb, postgresql

    return {
        "postgresql": (postgresql.PostgresqlSource, postgresql.OPTIONS),
        "mariadb": (mariadb.MariadbSource, mariadb.OPTIONS),
        "clickhouse": (clickhouse.ClickhouseSource, clickhouse.OPTIONS),
    }[kind]


def _path(text: str, kind: str | None, asked: Asked) -> Source:
    try:
        mode = os.stat(text).st_mode  # noqa: PTH116
    except OSError as error:
        raise PlanError(f"source {text!r} {unreadable(error)}{_nearest(text)}") from error
    except ValueError as error:
        raise PlanError(f"source {text!r} is no path: {error}") from error
    if stat.S_ISREG(mode):
        return _file(text, kind or kind_of(text, database=asked.of_database), asked)
    if kind is not None:
        raise PlanError(f"source {text!r} is not a regular file, so it can't be read as {kind!r}")
    if stat.S_ISDIR(mode):
        from deduplab.bound.sources.files import FileSource

        asked.check("folder", text)
        return FileSource(text)
    from deduplab.bound.sources.raw import DeviceSource, PipeSource

    if stat.S_ISBLK(mode):
        asked.check("block device", text)
        return DeviceSource(text)
    if stat.S_ISFIFO(mode):
        asked.check("pipe", text)
        return PipeSource(text)
    raise PlanError(
        f"source {text!r} is a socket or character device, which has no end; "
        "name a folder, a file, a block device or a pipe"
    )


def _file(path: str, kind: str, asked: Asked) -> Source:
    if kind not in FORMATS:
        raise PlanError(f"source {path!r}: {unknown_name('kind of file', kind, FORMATS)}")
    asked.check(kind, path)
    if kind == "file":
        from deduplab.bound.sources.files import FileSource

        return FileSource(path)
    if kind in ("tar", "zip"):
        return _archive(path, kind, asked)
    if kind in DATABASES:
        return _database(path, kind, asked)
    return _rows(path, kind, asked)


def _archive(path: str, kind: str, asked: Asked) -> Source:
    from deduplab.bound.sources.decompress import EXPANSION
    from deduplab.bound.sources.tar import TarSource
    from deduplab.bound.sources.zip_archive import ZipSource

    maker = TarSource if kind == "tar" else ZipSource
    return maker(path, asked.expansion or EXPANSION)


def _database(path: str, kind: str, asked: Asked) -> Source:
    from deduplab.bound.sources.duckdb import DuckdbSource
    from deduplab.bound.sources.sqlite import SqliteSource

    maker = SqliteSource if kind == "sqlite" else DuckdbSource
    return maker(path, table=asked.table, query=asked.query, options=asked.options)


def _rows(path: str, kind: str, asked: Asked) -> Source:
    from deduplab.bound.sources.csv_text import CsvSource
    from deduplab.bound.sources.decompress import EXPANSION
    from deduplab.bound.sources.json_lines import JsonLinesSource
    from deduplab.bound.sources.parquet import ParquetSource

    expansion = asked.expansion or EXPANSION
    if kind == "parquet":
        return ParquetSource(path, asked.options)
    if kind == "csv":
        return CsvSource(path, asked.options, asked.delimiter, expansion)
    return JsonLinesSource(path, asked.options, expansion)


def _nearest(text: str) -> str:
    """Return a hint at a name that is there and looks alike."""
    folder, name = os.path.split(text)
    try:
        names = os.listdir(folder or ".")  # noqa: PTH208
    except OSError:
        return ""
    if name in names:
        return "; it is a link to something that is not there"
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {os.path.join(folder, nearest[0])!r}?" if nearest else ""  # noqa: PTH118
