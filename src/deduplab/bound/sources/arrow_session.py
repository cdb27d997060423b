"""Sessions whose driver answers in Arrow batches: those of DuckDB and ClickHouse."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from deduplab.bound.sources.sql import Session
from deduplab.bound.sources.table import TableOptions
from deduplab.bound.stream import Block


class ArrowSession(Session):
    """A session that turns batches into blocks.

    Parameters
    ----------
    error
        What the driver raises.
    """

    def __init__(self, error: type[Exception]) -> None:
        from deduplab.bound.sources.arrow_table import ARROW_BROKEN  # late, as it needs pyarrow

        self.errors = (error, *ARROW_BROKEN)

    @abstractmethod
    def batches(self, statement: str) -> Generator[Any, None, None]:
        """Stream the answer to a statement as record batches."""

    def blocks(
        self, statement: str, columns: list[str], options: TableOptions, prefix: str
    ) -> Iterator[Block]:
        """Stream the answer to a statement; columns' names are those of the batches."""
        from deduplab.bound.sources.arrow_table import ArrowBlocks

        packing = ArrowBlocks(options, prefix)
        try:
            with closing(self.batches(statement)) as batches:
                for batch in batches:
                    yield from packing.of(batch)
        except self.errors:
            yield from packing.last()  # what came before the error counts
            raise
        finally:
            self.rows = packing.rows
        yield from packing.last()
