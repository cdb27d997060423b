"""The family ``time_series``: measurements with tags, one after another in time.

A small object is one measurement. A larger one also has ``points``, a list of further
measurements of the same series as [microseconds since 1970, value, quality], as many as
fit; what is left of the length, less than one point, goes to the text ``remark``.
``zstd -1`` takes away 56 % of objects of 1 KiB, 69 % of 4 KiB, 71 % of 8 KiB, 74 % of
64 KiB and 75 % of 1 MiB.
"""

from __future__ import annotations

from typing import ClassVar, Final

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.record_types import json_record
from deduplab.datasets.synthetic.columns import Digits, Ordinal, Pick, Timestamp, fraction
from deduplab.datasets.synthetic.names import CITIES, GOODS, of_width, pairs_of_width
from deduplab.datasets.synthetic.row_template import Part
from deduplab.datasets.synthetic.shapes import Shape, ShapedPayloads
from deduplab.record import Field, FieldType

_FIELDS: Final = (
    Field("host", FieldType.TEXT),
    Field("id", FieldType.INTEGER),
    Field("metric", FieldType.TEXT),
    Field("points", FieldType.JSON),
    Field("quality", FieldType.INTEGER),
    Field("region", FieldType.TEXT),
    Field("remark", FieldType.TEXT),
    Field("timestamp", FieldType.TIMESTAMP),
    Field("value", FieldType.FLOAT),
)
_STEP_MICROSECONDS: Final = 250_000


def _shape(
    host_width: int, city_width: int, value_width: int, quantities: tuple[str, ...]
) -> Shape:
    point: tuple[Part, ...] = (
        "[", Timestamp(_STEP_MICROSECONDS, microseconds=True), ",", *fraction(value_width),
        ",", Digits(1), "]",
    )  # fmt: skip
    metrics = [f"{quantity}_{end}" for quantity in quantities for end in ("mean", "peak", "last")]
    hosts = pairs_of_width(GOODS, ("node", "edge", "core", "unit"), host_width, "-")
    return Shape(
        head=(
            '{"host":"', Pick(hosts), Digits(3),
            '","id":', Ordinal(13),
            ',"metric":"', Pick(metrics), '","points":[', *point,
        ),
        rows=(",", *point),
        middle=(
            '],"quality":', Digits(1),
            ',"region":"', Pick([city.lower() for city in of_width(CITIES, city_width)]), Digits(1),
            '","remark":"',
        ),
        tail=(
            '","timestamp":"', Timestamp(_STEP_MICROSECONDS),
            '","value":', *fraction(value_width), "}",
        ),
        rows_percent=100,
    )  # fmt: skip


class TimeSeries(ShapedPayloads):
    """Payload ``id`` is measurement, or series of measurements, 1,000,000,000,000 + ``id``."""

    shapes: ClassVar = (
        _shape(9, 4, 8, ("load", "rate", "heat")),
        _shape(10, 5, 9, ("power", "queue", "depth")),
        _shape(11, 6, 8, ("memory", "wind_x", "errors")),
        _shape(12, 7, 10, ("traffic", "voltage", "latency")),
    )
    least_object_bytes = max(shape.fixed_bytes for shape in shapes)

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.record_type = json_record(spec.payload, _FIELDS)
