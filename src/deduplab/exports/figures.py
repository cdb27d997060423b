"""The figures of a run as files: the rows that ``deduplab report --json`` prints, as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from deduplab.analysis.row import ROW_FIELDS, Row
from deduplab.errors import SystemUnavailable

_NUMBERS: Final = ("grade_achieved", "rate_per_s", "value", "ci_low", "ci_high")
_COUNTS: Final = ("clients", "replicas", "n")


def as_csv(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV (RFC 4180, with line feeds): a heading, then a line each.

    A missing value is empty; numbers are written so that they read back as they are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ROW_FIELDS)
    writer.writerows(row.as_dict().values() for row in rows)
    return text.getvalue().encode()


def as_parquet(rows: Sequence[Row]) -> bytes:
    """Return rows as Parquet: counts are int64, values and rates float64, all else is text.

    Raises
    ------
    SystemUnavailable
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SystemUnavailable(
            f"figures can't be written as Parquet: pyarrow can't be imported ({error}); install it "
            "with: pip install 'deduplab[arrow]', or leave Parquet out by --without-parquet"
        ) from error
    fields = [(name, _kind(pa, name)) for name in ROW_FIELDS]
    columns = {name: [_cell(kind, getattr(row, name), pa) for row in rows] for name, kind in fields}
    target = io.BytesIO()
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), target)
    return target.getvalue()


def _kind(pa: Any, name: str) -> Any:
    if name in _NUMBERS:
        return pa.float64()
    return pa.int64() if name in _COUNTS else pa.string()


def _cell(kind: Any, value: Any, pa: Any) -> Any:
    return str(value) if kind == pa.string() and value is not None else value
