"""ClickHouse in this process, by chdb."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deduplab.adapters._arrow import arrow_table
from deduplab.adapters._clickhouse_engine import SESSION, SOURCE, Engine
from deduplab.adapters._clickhouse_rows import source_of
from deduplab.adapters._clickhouse_words import translated
from deduplab.adapters._layout import Layout
from deduplab.batch import Batch
from deduplab.errors import SystemUnavailable
from deduplab.record import Record
from deduplab.registry import driver_missing, system


@contextmanager
def _temporary_files_in(directory: Path) -> Iterator[None]:
    """Have the library put there what it makes while it is loaded, and leaves if it is killed.

    What lies beside the data goes with the instance, whatever ends it; there is no other
    way than ``TMPDIR`` to say so (chdb 4.4).
    """
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(directory)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


class InProcessEngine(Engine):
    """An engine on one directory, which it locks for this process.

    Parameters
    ----------
    directory
        The data directory; made where there is none.

    Raises
    ------
    SystemUnavailable
        If the driver is missing, or the engine can't open the directory.
    """

    def __init__(self, directory: str) -> None:
        try:
            with _temporary_files_in(Path(directory).parent):
                import chdb
            import pyarrow  # noqa: F401  (loads need it; say so now, not under the clock)
        except ImportError as error:
            raise driver_missing(system("clickhouse"), error) from error
        self._directory = directory
        connect: Any = chdb.connect
        try:
            self._connection: Any = connect(directory)
        except RuntimeError as error:
            raise SystemUnavailable(
                f"clickhouse can't open {directory}: {' '.join(str(error).split())} "
                "(one process a directory, and one directory a process)"
            ) from error
        for name, value in SESSION.items():
            self.run(f"SET {name} = {value}")

    def close(self) -> None:
        """Stop the engine and free the directory."""
        self._connection.close()

    def run(self, statement: str) -> None:
        """Run one statement that returns nothing."""
        self._answer(statement)

    def rows(self, statement: str) -> list[list[str]]:
        """Return the rows of a query as text."""
        text: str = self._answer(statement).data()
        return [line.split("\t") for line in text.splitlines()]

    def row_binary(self, statement: str) -> bytes:
        """Return the rows of a query in the format ``RowBinary``."""
        raw: bytes = self._answer(statement, output="RowBinary").bytes()
        return raw

    def insert_row(self, inserts: Sequence[str], key: str, row: Record, layout: Layout) -> None:
        """Insert from an expression of the row; text and bytes are parameters."""
        source, parameters = source_of(key, row, layout)
        for insert in inserts:
            self._answer(insert.replace(SOURCE, source), parameters=parameters)

    def insert_batch(self, inserts: Sequence[str], batch: Batch, layout: Layout) -> int:
        """Insert from Arrow columns that share the batch's memory."""
        # The engine finds this local variable by its name.
        objects = arrow_table(batch, layout)  # noqa: F841
        rows_written = 0
        for insert in inserts:
            statement = insert.replace(SOURCE, "Python(objects)")
            try:
                rows_written = self._connection.query(statement, "TSV").rows_written()
            except (RuntimeError, UnicodeDecodeError) as error:
                raise translated(error) from error
        return int(rows_written)

    def instance(self) -> str:
        """Return the directory's inode and the process; in process, no server has an UUID."""
        return f"directory {Path(self._directory).stat().st_ino} in process {os.getpid()}"

    def client(self) -> dict[str, str]:
        """Return chdb's version."""
        import chdb

        return {"chdb": chdb.__version__}

    def _answer(
        self,
        statement: str,
        *,
        parameters: Mapping[str, str] | None = None,
        output: str = "TSV",
    ) -> Any:
        """Run one statement; return the driver's result."""
        try:
            return self._connection.query(statement, output, params=parameters)
        except (RuntimeError, UnicodeDecodeError) as error:
            raise translated(error) from error
