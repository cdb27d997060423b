"""Parquet files: rows and columns, a row group's batches at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from deduplab.bound.sources.base import ScanSource, driver, words_of
from deduplab.bound.sources.table import TableOptions
from deduplab.bound.sources.watched import state_of, watched
from deduplab.bound.stream import Block
from deduplab.errors import DatasetError
from deduplab.units import MIB

_BATCH_BYTES: Final = 4 * MIB
_MOST_ROWS: Final = 65_536


class ParquetSource(ScanSource):
    """A Parquet file; see :mod:`deduplab.bound.sources.arrow_values` for a value's bytes.

    ``sorted`` and ``shuffled`` hold within windows of about 64 MiB of rows.
    """

    def __init__(self, path: str, options: TableOptions | None = None) -> None:
        super().__init__(path)
        self.options = options or TableOptions()

    def blocks(self) -> Iterator[Block]:
        """Read all row groups in order.

        Raises
        ------
        DatasetError
            If the file is no Parquet file or its footer is broken: nothing counts.
        PlanError
            If a column is not there.
        SystemUnavailable
            If pyarrow is not installed.
        """
        self.left_out.clear()
        driver("pyarrow.parquet", "arrow", f"{self.name!r} (Parquet)")
        from deduplab.bound.sources.arrow_table import ARROW_BROKEN, ArrowBlocks, ordered

        packing = ArrowBlocks(self.options)
        with watched(self, self.name), self._opened() as file:
            names = file.schema_arrow.names
            chosen = self.options.chosen(names, self.name)
            try:
                for batch in ordered(self._batches(file, chosen), self.options):
                    yield from packing.of(batch.select(chosen))
            except ARROW_BROKEN as error:
                self.leave_out(
                    self.name,
                    f"can't be turned into rows: {words_of(error)}; the {packing.rows} rows "
                    "before are counted, what follows is not",
                )
            yield from packing.last()

    def _opened(self) -> Any:
        import pyarrow.parquet

        from deduplab.bound.sources.arrow_table import ARROW_BROKEN

        state_of(self.name)
        try:
            return pyarrow.parquet.ParquetFile(
                self.name, memory_map=False, page_checksum_verification=True
            )
        except ARROW_BROKEN as error:
            raise DatasetError(
                f"{self.name!r} is truncated, broken or no Parquet file: {words_of(error)}; "
                "nothing of it is counted"
            ) from error

    def _batches(self, file: Any, chosen: list[str]) -> Iterator[Any]:
        """Yield every row group's batches; of a damaged group those before the damage."""
        from deduplab.bound.sources.arrow_table import ARROW_BROKEN

        sorted_by = [self.options.sorted_by] if self.options.sorted_by else []
        wanted = list(dict.fromkeys([*chosen, *sorted_by]))
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            row_bytes = max(1, group.total_byte_size // max(1, group.num_rows))
            at_once = max(1, min(_MOST_ROWS, _BATCH_BYTES // row_bytes))
            read = 0
            try:
                for batch in file.iter_batches(
                    at_once, row_groups=[number], columns=wanted, use_threads=False
                ):
                    read += batch.num_rows
                    yield batch
            except ARROW_BROKEN as error:
                self.leave_out(
                    f"{self.name} row group {number}",
                    f"broken: {words_of(error)}; {group.num_rows - read} of its "
                    f"{group.num_rows} rows are not counted",
                )
