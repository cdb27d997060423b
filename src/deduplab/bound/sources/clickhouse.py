"""ClickHouse tables and queries, streamed as Arrow over HTTP.

See ``arrow_values`` for a value's bytes; LowCardinality is decoded, a String is
its bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from deduplab.bound.sources.arrow_session import ArrowSession
from deduplab.bound.sources.base import driver, words_of
from deduplab.bound.sources.sql import Relation, Session, SqlServerSource
from deduplab.errors import SystemUnavailable

OPTIONS: Final = ("table", "query", "tls")
_PORT: Final = 8123
_TLS_PORT: Final = 8443
_SETTINGS: Final = {
    "readonly": 2,
    "max_block_size": 16384,
    "output_format_arrow_string_as_string": 0,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "output_format_arrow_compression_method": "none",
}


class ClickhouseSource(SqlServerSource):
    """Tables of a database, or a query. There is no snapshot: each table is read as it is then."""

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Connect.

        Raises
        ------
        SystemUnavailable
            If the client is missing, nobody answers, or the login is refused.
        """
        driver("pyarrow", "clickhouse", self.address.shown)
        connect: Any = driver("clickhouse_connect", "clickhouse", self.address.shown)
        errors: Any = driver(
            "clickhouse_connect.driver.exceptions", "clickhouse", self.address.shown
        )
        address = self.address
        try:
            client = connect.get_client(
                host=address.host,
                port=address.port or (_TLS_PORT if address.tls else _PORT),
                username=address.user or "default",
                password=address.password() or "",
                database=address.path or "default",
                secure=address.tls,
                connect_timeout=10,
                send_receive_timeout=600,
                autogenerate_session_id=False,
            )
        except (errors.ClickHouseError, OSError) as error:
            raise SystemUnavailable(
                f"{address.shown} can't be reached: {words_of(error)}"
            ) from error
        with closing(client):
            yield _ClickhouseSession(client, errors.ClickHouseError)


class _ClickhouseSession(ArrowSession):
    quotes = "`"
    random = "rand()"

    def __init__(self, client: Any, error: type[Exception]) -> None:
        super().__init__(error)
        self._client = client

    def tables(self) -> list[Relation]:
        # Others lead to rows of another table, or to endless ones.
        return self._relations("(has_own_data OR engine = 'Memory') AND NOT is_temporary")

    def nameable(self) -> list[Relation]:
        return self._relations("NOT is_temporary")

    def columns(self, relation: Relation) -> list[str]:
        answer = self._client.query(f"DESCRIBE TABLE (SELECT * FROM {relation.text})")  # noqa: S608
        return [row[0] for row in answer.result_rows]

    def batches(self, statement: str) -> Generator[Any, None, None]:
        import pyarrow as pa

        with closing(
            self._client.raw_stream(statement, fmt="ArrowStream", settings=_SETTINGS)
        ) as stream:
            yield from pa.ipc.open_stream(stream)

    def _relations(self, which: str) -> list[Relation]:
        answer = self._client.query(
            f"SELECT name FROM system.tables WHERE database = currentDatabase() AND {which} "  # noqa: S608
            "ORDER BY name"
        )
        return [Relation(row[0], self.quoted(row[0])) for row in answer.result_rows]
