"""ClickHouse on a server, over HTTP, by clickhouse-connect.

Rows travel as Arrow in the body of one request, and the server selects them by
its table function ``input``; so a batch is one block there as well. Sources:
ClickHouse documentation, "HTTP interface", "input (table function)", "Arrow
formats"; clickhouse-connect, "Client arguments".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from deduplab.adapters._arrow import arrow_row, arrow_table
from deduplab.adapters._clickhouse_engine import SESSION, SOURCE, Engine
from deduplab.adapters._clickhouse_tables import type_of
from deduplab.adapters._clickhouse_words import LOGIN_CODES, code_of, quoted, translated
from deduplab.adapters._layout import Layout
from deduplab.adapters._login import login_refused
from deduplab.adapters._tls import Tls, refused
from deduplab.batch import Batch
from deduplab.errors import DeduplabError, SystemUnavailable
from deduplab.record import Field, FieldType, Record
from deduplab.server import Endpoint

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN_PORT: Final = 8123
_TLS_PORT: Final = 8443
_CONNECT_S: Final = 10
_ANSWER_S: Final = 600
_WAITING: Final = {"wait_end_of_query": 1}
_NO_UUID: Final = "00000000-0000-0000-0000-000000000000"


class RemoteEngine(Engine):
    """A session with a server; its files can't be seen from here.

    Parameters
    ----------
    endpoint
        Host, port, user, secret, and how the server proves who it is (``_tls``).

    Raises
    ------
    SystemUnavailable
        If the driver is missing, nobody answers within ten seconds, the server does
        not prove who it is, or the login is refused.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            import clickhouse_connect
            import pyarrow  # noqa: F401  (loads need it; say so now, not under the clock)
            from clickhouse_connect.driver.exceptions import ClickHouseError
        except ImportError as error:
            raise SystemUnavailable(
                f"clickhouse: the driver of remote servers can't be imported ({error}); "
                "install it with: pip install 'deduplab[clickhouse]'"
            ) from error
        # It would print a warning of its own for what is raised anyway.
        logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
        self._driver_error: type[Exception] = ClickHouseError
        self._host = endpoint.host
        tls = Tls.of(endpoint)
        connect: Any = clickhouse_connect.get_client
        try:
            self._client: Any = connect(
                host=endpoint.host,
                port=endpoint.port or (_TLS_PORT if tls else _PLAIN_PORT),
                username=endpoint.user or "default",
                password=endpoint.secret.reveal() if endpoint.secret else "",
                database=endpoint.database or "__default__",
                secure=tls is not None,
                verify=True,
                ca_cert=tls.authority if tls else None,
                settings=SESSION,
                compress=False,  # neither side spends its time on what travels
                query_retries=0,
                connect_timeout=_CONNECT_S,
                send_receive_timeout=_ANSWER_S,
                autogenerate_session_id=False,
                show_clickhouse_errors=True,
            )
        except (ClickHouseError, OSError) as error:
            if code_of(str(error)) in LOGIN_CODES:
                raise login_refused("clickhouse", endpoint, str(error)[:500]) from error
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Disconnect; what is there stays."""
        self._client.close()

    def run(self, statement: str) -> None:
        """Run one statement that returns nothing."""
        self._asked(lambda: self._client.command(statement, settings=_WAITING))

    def rows(self, statement: str) -> list[list[str]]:
        """Return the rows of a query as text."""
        text = self._raw(statement, "TabSeparated").decode()
        return [line.split("\t") for line in text.splitlines()]

    def row_binary(self, statement: str) -> bytes:
        """Return the rows of a query in the format ``RowBinary``."""
        return self._raw(statement, "RowBinary")

    def insert_row(self, inserts: Sequence[str], key: str, row: Record, layout: Layout) -> None:
        """Insert one row, as a batch is inserted."""
        self._insert(inserts, arrow_row(key, row, layout), layout)

    def insert_batch(self, inserts: Sequence[str], batch: Batch, layout: Layout) -> int:
        """Send a batch as the body of one request for each insert."""
        return self._insert(inserts, arrow_table(batch, layout), layout)

    def instance(self) -> str:
        """Return the server's UUID.

        Raises
        ------
        SystemUnavailable
            If it has none, and so can't be told from another server.
        """
        found = self.rows("SELECT serverUUID()")[0][0]
        if found == _NO_UUID:
            raise SystemUnavailable(f"clickhouse: {self._host} has no serverUUID()")
        return found

    def client(self) -> dict[str, str]:
        """Return clickhouse-connect's version."""
        from importlib.metadata import version

        return {"clickhouse-connect": version("clickhouse-connect")}

    def _insert(self, inserts: Sequence[str], table: pa.Table, layout: Layout) -> int:
        source = f"input({quoted(structure_of(layout))})"
        body = _stream_of(table)
        rows_written = 0
        for insert in inserts:
            statement = f"{insert.replace(SOURCE, source)} FORMAT ArrowStream"
            rows_written = self._written(statement, body)
        return rows_written

    def _written(self, statement: str, body: bytes) -> int:
        summary = self._asked(lambda: self._client.command(statement, data=body, settings=_WAITING))
        return int(summary.written_rows)

    def _raw(self, statement: str, output: str) -> bytes:
        found: bytes = self._asked(lambda: self._client.raw_query(statement, fmt=output))
        return found

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (self._driver_error, OSError) as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> DeduplabError:
        """Tell a server's refusal, which has a code, from an answer that did not come."""
        if "Code: " in str(error):
            return translated(error)
        return self._unreachable(error)

    def _unreachable(self, error: Exception) -> SystemUnavailable:
        said = " ".join(f"{error} {error.__cause__ or ''}".split())[:500]
        if "CERTIFICATE_VERIFY_FAILED" in said or "certificate" in said:
            return refused("clickhouse", self._host, said)
        return SystemUnavailable(f"clickhouse: {self._host} can't be reached: {said}")


def structure_of(layout: Layout) -> str:
    """Return the columns that a body of rows has, as ``input`` wants them."""
    columns = ["key String", *(f"`{field.name}` {_sent(field)}" for field in layout.fields)]
    return ", ".join(columns)


def _sent(field: Field) -> str:
    """Return the type that a field is sent as: UUIDs are text, and cast by the insert."""
    if field.type is FieldType.UUID:
        return "Nullable(String)" if field.nullable else "String"
    return type_of(field)


def _stream_of(table: pa.Table) -> bytes:
    """Return a table as an Arrow stream of one batch."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body
