"""How CockroachDB's variants keep objects: table, garbage collection, and statements.

Sources: CockroachDB documentation, "Data Types", "CREATE TABLE", "COPY", "Batch
Delete Expired Data with Row-Level TTL", "Replication Controls".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deduplab.adapter import Variant
from deduplab.adapters._layout import Layout
from deduplab.adapters._pg_family import Verbs
from deduplab.adapters._sql_tables import Dialect, quoted_names, tables_of
from deduplab.record import FieldType

SHORT_TTL_S: Final = 60
ROW_TTL: Final = "row-level-ttl"
VARIANTS: Final = (
    Variant("default", "rows in key order; old versions kept for the zone's gc.ttlseconds"),
    Variant("gc-ttl-short", f"the same with gc.ttlseconds = {SHORT_TTL_S}"),
    Variant(ROW_TTL, "the same with row-level TTL, which can delete all rows by expiry"),
)
_ZONES: Final[Mapping[str, int | None]] = {
    "default": None,
    "gc-ttl-short": SHORT_TTL_S,
    ROW_TTL: None,
}
_TYPES: Final[Mapping[FieldType, str]] = {
    FieldType.TEXT: "STRING",
    FieldType.BYTES: "BYTES",
    FieldType.INTEGER: "INT8",
    FieldType.FLOAT: "FLOAT8",
    FieldType.DECIMAL: "DECIMAL(18, {scale})",
    FieldType.BOOLEAN: "BOOL",
    FieldType.TIMESTAMP: "TIMESTAMPTZ",
    FieldType.UUID: "UUID",
    FieldType.JSON: "JSONB",
}
_INSERTED_AT: Final = "deduplab_inserted_at"
_NEVER: Final = f"$$({_INSERTED_AT} + '1000 years')$$"
_AT_ONCE: Final = f"$$({_INSERTED_AT})$$"


@dataclass(frozen=True, slots=True)
class Statements(Verbs):
    """The table of a namespace and what is issued on it.

    Parameters
    ----------
    create
        Makes the table.
    expire, keep
        Let all rows expire now, looked for every minute; and never again. None in the
        variants without row-level TTL.
    occupied
        Returns a row while the table has one.
    """

    create: str
    expire: str | None
    keep: str | None
    occupied: str


def statements_of(variant: str, layout: Layout, namespace: str) -> Statements:
    """Return the statements of a variant and a layout in a namespace's database."""
    dialect = Dialect(
        _TYPES,
        key_type="STRING",
        hash_type="BYTES",
        placeholder="$1",
        schema=f'"{namespace}".public.',
    )
    tables = tables_of(variant, layout.fields, dialect)
    ((objects, columns),) = tables.columns.items()
    names = quoted_names(layout.fields)
    places = ", ".join(f"${number}" for number in range(1, len(layout.fields) + 2))
    create, expire, keep = f"CREATE TABLE {objects} ({columns})", None, None
    if variant == ROW_TTL:
        create = (
            f"CREATE TABLE {objects} ({columns}, {_INSERTED_AT} TIMESTAMPTZ NOT NULL "
            f"DEFAULT now()) WITH ({_ttl(_NEVER, '@daily')}, ttl_delete_rate_limit = 0)"
        )
        expire = f"ALTER TABLE {objects} SET ({_ttl(_AT_ONCE, '* * * * *')})"
        keep = f"ALTER TABLE {objects} SET ({_ttl(_NEVER, '@daily')})"
    return Statements(
        tables=tables,
        put=f"INSERT INTO {objects} (key, {names}) VALUES ({places})",  # noqa: S608
        delete=f"DELETE FROM {objects} WHERE key = ANY ($1)",  # noqa: S608
        copy=f"COPY {objects} (key, {names}) FROM STDIN WITH BINARY",
        create=create,
        expire=expire,
        keep=keep,
        occupied=f"SELECT 1 FROM {objects} LIMIT 1",  # noqa: S608
    )


def zone_of(variant: str, namespace: str) -> str | None:
    """Return what gives a new database the zone of its variant; None inherits the cluster's."""
    seconds = _ZONES[variant]
    return None if seconds is None else zone(namespace, seconds)


def zone_restored(variant: str, namespace: str) -> str:
    """Return what gives a database the zone of its variant again."""
    inherited = f'ALTER DATABASE "{namespace}" CONFIGURE ZONE DISCARD'
    return zone_of(variant, namespace) or inherited


def zone(namespace: str, ttl_s: int) -> str:
    """Return the statement that keeps old versions for so many seconds; 1 is the least."""
    return f'ALTER DATABASE "{namespace}" CONFIGURE ZONE USING gc.ttlseconds = {ttl_s}'


def _ttl(expression: str, cron: str) -> str:
    return f"ttl_expiration_expression = {expression}, ttl_job_cron = '{cron}'"
