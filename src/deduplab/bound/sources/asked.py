"""What is asked for beside the name of a source, in a call or in the source's URL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from deduplab.bound.sources.base import NATURAL, PAGE_BYTES
from deduplab.errors import PlanError
from deduplab.units import parse_bytes

if TYPE_CHECKING:
    from deduplab.bound.sources.address import Address
    from deduplab.bound.sources.table import TableOptions

TABLE_OPTIONS: Final = ("columns", "order", "column_pages")
"""What a URL may say of every source of tables."""

_SQL: Final = ("sqlite", "duckdb", "postgresql", "mariadb", "clickhouse")
_TABLES: Final = (*_SQL, "parquet", "csv", "json-lines", "kafka")
_EXPANDING: Final = ("tar", "zip", "csv", "json-lines")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for beside the name of the source."""

    table: str | None = None
    query: str | None = None
    columns: tuple[str, ...] | None = None
    order: str = NATURAL
    page_bytes: int | None = None
    delimiter: str | None = None
    expansion: int | None = None

    @property
    def options(self) -> TableOptions:
        """How tables are read."""
        from deduplab.bound.sources.table import TableOptions

        return TableOptions(self.columns, self.order, self.page_bytes)

    @property
    def of_database(self) -> bool:
        """Whether only a database has what was asked for."""
        return bool(self.table or self.query)

    def check(self, kind: str, name: str) -> None:
        """Refuse what has no meaning for a kind of source, rather than pass over it."""
        given = {
            "table": (self.table, _SQL),
            "query": (self.query, _SQL),
            "columns": (self.columns, _TABLES),
            "order": (None if self.order == NATURAL else self.order, _TABLES[:-1]),
            "column_pages": (self.page_bytes, _TABLES),
            "delimiter": (self.delimiter, ("csv",)),
            "expansion": (self.expansion, _EXPANDING),
        }
        for option, (value, kinds) in given.items():
            if value is not None and kind not in kinds:
                raise PlanError(
                    f"{name}: {option} has no meaning for this kind of source ({kind}); "
                    f"it is for {', '.join(kinds)}"
                )


def merged(address: Address, asked: Asked) -> tuple[Address, Asked]:
    """Take options of the URL over into what was asked; both at once must agree."""
    options = dict(address.options)
    found: dict[str, object] = {}
    for name in ("table", "query", "order"):
        if name in options:
            found[name] = options.pop(name)
    if "columns" in options:
        text = options.pop("columns")
        found["columns"] = tuple(text.split(",")) if text else ()
    if "column_pages" in options:
        found["page_bytes"] = page_bytes(options.pop("column_pages"))
    for name, value in found.items():
        said = getattr(asked, name)
        if said not in (None, NATURAL, value):
            raise PlanError(f"{address.shown}: {name} is given twice, as {value!r} and {said!r}")
    return replace(address, options=options), replace(asked, **found)  # type: ignore[arg-type]


def page_bytes(column_pages: bool | int | str) -> int | None:
    """Read the size of pages: nothing, 64 KiB, or a number of bytes."""
    if column_pages in (False, "", "no"):
        return None
    if column_pages is True or column_pages == "yes":
        return PAGE_BYTES
    return parse_bytes(column_pages)
