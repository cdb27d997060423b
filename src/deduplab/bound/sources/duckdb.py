"""DuckDB files by table, streamed as Arrow; see ``arrow_values`` for a value's bytes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Final

from deduplab.bound.sources.arrow_session import ArrowSession
from deduplab.bound.sources.base import driver, words_of
from deduplab.bound.sources.sql import Relation, Session, SqlFileSource
from deduplab.bound.sources.table import SEED
from deduplab.bound.sources.watched import watched
from deduplab.errors import DatasetError

_ROWS_AT_ONCE: Final = 16_384
_USUAL_SCHEMA: Final = "main"


class DuckdbSource(SqlFileSource):
    """Tables of a DuckDB file, opened read-only; a query reaches no other file."""

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open the file.

        Raises
        ------
        DatasetError
            If it can't be opened, as while another process writes to it.
        SystemUnavailable
            If duckdb or pyarrow is missing.
        """
        driver("pyarrow", "duckdb", f"{self.path!r} (DuckDB)")
        duckdb: Any = driver("duckdb", "duckdb", f"{self.path!r} (DuckDB)")
        # Its own temporary files would lie beside the database.
        with watched(self, self.path), TemporaryDirectory(prefix="deduplab-scan-") as temporary:
            config = {"enable_external_access": "false", "temp_directory": temporary}
            try:
                connection = duckdb.connect(self.path, read_only=True, config=config)
            except (duckdb.Error, OSError) as error:
                raise DatasetError(
                    f"{self.path!r} can't be opened as a DuckDB file: {words_of(error)}; "
                    "nothing of it is counted"
                ) from error
            with connection:
                connection.execute(f"SELECT setseed({SEED / 100})")
                connection.execute("SET enable_progress_bar = false")
                yield _DuckdbSession(connection, duckdb.Error)


class _DuckdbSession(ArrowSession):
    def __init__(self, connection: Any, error: type[Exception]) -> None:
        super().__init__(error)
        self._connection = connection

    def tables(self) -> list[Relation]:
        return self._relations("table")

    def nameable(self) -> list[Relation]:
        return [*self.tables(), *self._relations("view")]

    def _relations(self, kind: str) -> list[Relation]:
        found = self._connection.execute(
            f"SELECT schema_name, {kind}_name FROM duckdb_{kind}s() "  # noqa: S608 - our own
            f"WHERE NOT internal ORDER BY schema_name <> '{_USUAL_SCHEMA}', 1, 2"
        ).fetchall()
        return [self.in_schema(schema, name, _USUAL_SCHEMA) for schema, name in found]

    def columns(self, relation: Relation) -> list[str]:
        statement = f"SELECT * FROM {relation.text} LIMIT 0"  # noqa: S608 - quoted
        return [column[0] for column in self._connection.execute(statement).description]

    def batches(self, statement: str) -> Generator[Any, None, None]:
        yield from self._connection.sql(statement).to_arrow_reader(_ROWS_AT_ONCE)
