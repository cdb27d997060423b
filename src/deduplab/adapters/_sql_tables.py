"""The tables of SQL systems, and the statements on them that all of them spell alike.

Two shapes: ``objects`` with a key and the fields, and ``unique-content``,
where ``contents`` has each distinct content once, under its hash, and
``objects`` has keys that refer to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from deduplab.adapter import Variant
from deduplab.adapters._layout import CONTENT_HASH
from deduplab.record import Field, FieldType

UNIQUE_CONTENT: Final = Variant(
    "unique-content",
    "contents once, by a unique index on their hash and ON CONFLICT DO NOTHING",
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one system spells what the shapes are made of.

    Parameters
    ----------
    types
        The column type of every field type; ``{scale}`` is a place.
    key_type, hash_type
        Column types of keys and of hashes.
    placeholder
        The first parameter of a statement.
    reads
        What a column of that type is selected as; ``{}`` is the column. Others as they are.
    schema
        What goes before a table's name.
    """

    types: Mapping[FieldType, str]
    key_type: str = "TEXT"
    hash_type: str = "BLOB"
    placeholder: str = "?"
    reads: Mapping[FieldType, str] = field(default_factory=dict)
    schema: str = ""

    def type_of(self, field: Field) -> str:
        """Return a field's column type, without its nullability."""
        return self.types[field.type].format(scale=field.scale)

    def _definition(self, field: Field) -> str:
        return f"{quoted(field.name)} {self.type_of(field)}{'' if field.nullable else ' NOT NULL'}"

    def _selected(self, fields: Iterable[Field]) -> str:
        return ", ".join(self.reads.get(f.type, "{}").format(quoted(f.name)) for f in fields)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a namespace and what is asked of them.

    Parameters
    ----------
    columns
        Of each table, by its name (with the schema), its column definitions.
    select
        One row of values by a key, which is the only parameter.
    count
        The objects that a client can see: whose content is there.
    sweep
        Deletes contents that no object refers to; None where content is in the objects.
    """

    columns: Mapping[str, str]
    select: str
    count: str
    sweep: str | None = None

    @property
    def creates(self) -> list[str]:
        """The statements that make the tables where there are none."""
        return [f"CREATE TABLE IF NOT EXISTS {t} ({c})" for t, c in self.columns.items()]


def tables_of(variant: str, fields: tuple[Field, ...], dialect: Dialect) -> Tables:
    """Return the tables of a variant for these fields."""
    objects, contents = f"{dialect.schema}objects", f"{dialect.schema}contents"
    defined = ", ".join(map(dialect._definition, fields))
    key = f"key {dialect.key_type} PRIMARY KEY"
    selected = dialect._selected(fields)
    if variant != UNIQUE_CONTENT.name:
        return Tables(
            {objects: f"{key}, {defined}"},
            f"SELECT {selected} FROM {objects} WHERE key = {dialect.placeholder}",  # noqa: S608
            f"SELECT count(*) FROM {objects}",  # noqa: S608
        )
    joined = f"{objects} JOIN {contents} USING ({CONTENT_HASH})"
    return Tables(
        {
            contents: f"{CONTENT_HASH} {dialect.hash_type} PRIMARY KEY, {defined}",
            objects: f"{key}, {CONTENT_HASH} {dialect.hash_type} NOT NULL",
        },
        f"SELECT {selected} FROM {joined} WHERE key = {dialect.placeholder}",  # noqa: S608
        f"SELECT count(*) FROM {joined}",  # noqa: S608
        f"DELETE FROM {contents} WHERE NOT EXISTS (SELECT 1 FROM {objects} "  # noqa: S608
        f"WHERE {objects}.{CONTENT_HASH} = {contents}.{CONTENT_HASH})",
    )


def quoted(name: str) -> str:
    """Return an identifier; fields' names are checked at the door, but may be reserved words."""
    return f'"{name}"'


def quoted_names(fields: Iterable[Field]) -> str:
    """Return the names of fields as a list of columns."""
    return ", ".join(quoted(f.name) for f in fields)
