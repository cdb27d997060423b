"""Tables and queries of SQL engines: what is asked, and what is said when it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from deduplab.bound.sources.base import ScanSource, words_of
from deduplab.bound.sources.table import SHUFFLED, TableOptions
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError, PlanError, unknown_name

if TYPE_CHECKING:
    from deduplab.bound.sources.address import Address


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a query: how it is called, and how it stands behind FROM."""

    name: str
    text: str


class Session(ABC):
    """A connection to an engine while a source is read.

    Attributes
    ----------
    errors
        What the driver raises.
    quotes
        The character that identifiers are quoted with.
    random
        The engine's expression for a random number a row.
    rows
        How many rows were handed out.
    """

    errors: tuple[type[Exception], ...]
    quotes: ClassVar[str] = '"'
    random: ClassVar[str] = "random()"
    rows: int = 0

    @abstractmethod
    def tables(self) -> list[Relation]:
        """Return the tables with data, named with their schema where it is not the usual one.

        Each with its own rows, so that none is read by way of another table too.
        """

    @abstractmethod
    def nameable(self) -> list[Relation]:
        """Return all that can be asked for by name: views and partitioned tables too."""

    @abstractmethod
    def columns(self, relation: Relation) -> list[str]:
        """Return the names of a relation's columns without reading it."""

    @abstractmethod
    def blocks(
        self, statement: str, columns: list[str], options: TableOptions, prefix: str
    ) -> Iterator[Block]:
        """Stream the answer to a statement; columns' streams begin with the prefix."""

    def emptied(self, relation: Relation) -> bool:
        """Whether a table without rows had some in the snapshot, as far as can be told."""
        return False

    def quoted(self, name: str) -> str:
        """Return an identifier quoted."""
        return self.quotes + name.replace(self.quotes, 2 * self.quotes) + self.quotes

    def in_schema(self, schema: str, name: str, usual: str) -> Relation:
        """Return a table's relation, always with its schema: a search path may lead elsewhere."""
        shown = name if schema == usual else f"{schema}.{name}"
        return Relation(shown, f"{self.quoted(schema)}.{self.quoted(name)}")


class SqlSource(ScanSource):
    """All tables of a database, one of them, or a query.

    Rows are in the stream ``""``, columns in streams of their names, with
    ``table.`` before them where there are several tables. The order is made by
    the engine (ORDER BY).

    Parameters
    ----------
    name
        What it is called, without secrets.
    table, query
        At most one of them; without both, all tables.
    """

    def __init__(
        self,
        name: str,
        *,
        table: str | None = None,
        query: str | None = None,
        options: TableOptions | None = None,
    ) -> None:
        if table and query:
            raise PlanError(f"{name}: give a table or a query, not both")
        super().__init__(f"{name} table {table}" if table else name)
        self.table = table
        self.query = query.strip().rstrip(";") if query else None
        self.options = options or TableOptions()
        self._refused = ""
        """Why nothing of the table that was tried last can be read; empty if that is not so."""

    @abstractmethod
    def session(self) -> AbstractContextManager[Session]:
        """Connect, and disconnect at the end.

        Raises
        ------
        DatasetError
            If the file can't be opened.
        SystemUnavailable
            If the driver is missing or the server can't be reached.
        """

    def blocks(self) -> Iterator[Block]:
        """Read the relations one after another.

        Raises
        ------
        PlanError
            If the table or a column is not there.
        DatasetError
            If nothing at all could be read.
        """
        self.left_out.clear()
        self._refused = ""
        with self.session() as session:
            relations = self._relations(session)
            read = False
            for relation in relations:
                prefix = f"{relation.name}." if len(relations) > 1 else ""
                self._refused = ""
                yield from self._relation(session, relation, prefix)
                read = read or not self._refused
            if not read:
                raise DatasetError(
                    f"{self.name}: none of its {len(relations)} tables can be read "
                    f"({relations[-1].name}: {self._refused}); nothing of it is counted"
                )

    def _relations(self, session: Session) -> list[Relation]:
        if self.query:
            # A comment may stand at its end.
            return [Relation("query", f"({self.query}\n) AS asked")]
        try:
            known = session.nameable() if self.table else session.tables()
        except session.errors as error:
            raise DatasetError(
                f"{self.name}: its tables can't be listed: {words_of(error)}"
            ) from error
        if self.table:
            found = [relation for relation in known if relation.name == self.table]
            if not found:
                names = tuple(relation.name for relation in known)
                raise PlanError(f"{self.name}: {unknown_name('table', self.table, names)}")
            return found[:1]
        if not known:
            raise DatasetError(f"{self.name} has no tables that could be read")
        return known

    def _relation(self, session: Session, relation: Relation, prefix: str) -> Iterator[Block]:
        session.rows = 0
        try:
            known = session.columns(relation)
            chosen = self.options.chosen(known, f"{self.name}, {relation.name}")
            if not chosen:
                self.leave_out(relation.name, "has no columns, so its rows have no bytes")
                return
            statement = self._statement(session, relation, chosen)
            yield from session.blocks(statement, chosen, self.options, prefix)
            if not session.rows and session.emptied(relation):
                self.leave_out(
                    relation.name,
                    "was truncated or rewritten after the scan began, so its rows are gone; "
                    "nothing of it is counted",
                )
        except session.errors as error:
            said = words_of(error)
            told = f"can't be read: {said}; nothing of it is counted"
            if session.rows:
                told = (
                    f"can't be read any further: {said}; the {session.rows} rows before "
                    "are counted, what follows is not"
                )
            elif prefix:
                self._refused = said
            else:
                raise DatasetError(f"{self.name} {told}") from error
            self.leave_out(relation.name if prefix else self.name, told)

    def _statement(self, session: Session, relation: Relation, chosen: list[str]) -> str:
        fields = ", ".join(session.quoted(name) for name in chosen)
        order = ""
        if self.options.sorted_by:
            order = f" ORDER BY {session.quoted(self.options.sorted_by)}"
        elif self.options.order == SHUFFLED:
            order = f" ORDER BY {session.random}"
        return f"SELECT {fields} FROM {relation.text}{order}"  # noqa: S608 - names are quoted


class SqlServerSource(SqlSource):
    """What a server holds in one database; ``address`` is where.

    Attributes
    ----------
    needs_database
        Whether the address must name one, since the server has no usual one.
    """

    needs_database: ClassVar[bool] = False

    def __init__(
        self,
        address: Address,
        *,
        table: str | None = None,
        query: str | None = None,
        options: TableOptions | None = None,
    ) -> None:
        if self.needs_database and not address.path:
            raise PlanError(f"{address.shown}: name a database: {address.shown}DATABASE")
        super().__init__(address.shown, table=table, query=query, options=options)
        self.address = address


class SqlFileSource(SqlSource):
    """What the file of an embedded database holds; ``path`` is where."""

    def __init__(
        self,
        path: str,
        *,
        table: str | None = None,
        query: str | None = None,
        options: TableOptions | None = None,
    ) -> None:
        super().__init__(path, table=table, query=query, options=options)
        self.path = path
