"""Records of a file: rows of Parquet or of a table, or lines of JSON, in canonical form."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Protocol

from deduplab.record import RecordType

RECORD_SUFFIXES: Final = (
    ".parquet",
    ".csv",
    ".tsv",
    *(".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
)


class Records(Protocol):
    """A file of records."""

    record_type: RecordType

    def canonical(self) -> Iterator[bytes]:
        """Yield the canonical serialisation of each record, in order."""
        ...


def open_records(path: bytes) -> Records:
    """Return the records of a file, by the end of its name.

    Raises
    ------
    DatasetError
        If it can't be read, or holds what no record can.
    """
    name = os.fsdecode(path).lower()
    if name.endswith(".parquet"):
        from deduplab.datasets.corpora.parquet_rows import ParquetRows

        return ParquetRows(path)
    if name.endswith((".csv", ".tsv")):
        from deduplab.datasets.corpora.table_rows import TableRows

        return TableRows(path)
    from deduplab.datasets.corpora.json_lines import JsonLines

    return JsonLines(path)
