"""The family ``structured_json``: orders, all with the same members, in canonical JSON.

An order has a number, a customer, an address, amounts, a list of items and a note. Half
of an object's room is for items, the rest is the note, which is prose. ``zstd -1``
takes away 40 % of objects of 1 KiB, 54 % of 4 KiB, 58 % of 8 KiB, 64 % of 64 KiB and 70
% of 1 MiB.

With a compressibility target the list has one item, and the note consists of random
characters and runs of one and the same text, in proportion. Random characters still
lose a quarter, and the other members can't be compressed at will: 1 KiB can have 21 %
to 70 %, 8 KiB 23 % to 94 %, 64 KiB 23 % to 97 %. What a size can't have is refused;
with unlike sizes that is judged by ``object_bytes``, and each object comes as near to
the target as its own length allows.
"""

from __future__ import annotations

from typing import ClassVar, Final

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.record_types import json_record
from deduplab.datasets.synthetic.columns import Digits, Hex, Ordinal, Pick, Timestamp
from deduplab.datasets.synthetic.filler import TextFiller
from deduplab.datasets.synthetic.names import addresses, goods, people
from deduplab.datasets.synthetic.row_template import Part
from deduplab.datasets.synthetic.shapes import Shape, ShapedPayloads, ShapeMaker
from deduplab.record import Field, FieldType

_FIELDS: Final = (
    Field("address", FieldType.TEXT),
    Field("created", FieldType.TIMESTAMP),
    Field("currency", FieldType.TEXT),
    Field("customer", FieldType.TEXT),
    Field("email", FieldType.TEXT),
    Field("id", FieldType.INTEGER),
    Field("items", FieldType.JSON),
    Field("note", FieldType.TEXT),
    Field("paid", FieldType.BOOLEAN),
    Field("state", FieldType.TEXT),
    Field("total", FieldType.DECIMAL, scale=2),
    Field("updated", FieldType.TIMESTAMP),
)


def _shape(
    person_width: int, address_width: int, total_width: int, paid: str, states: tuple[str, ...]
) -> Shape:
    names = people(person_width)
    item: tuple[Part, ...] = (
        '{"article":"', Pick(goods(6 + person_width // 2)),
        '","count":', Digits(1, head=True),
        ',"price":"', Digits(2, head=True), ".", Digits(2),
        '","sku":"', Hex(8), '"}',
    )  # fmt: skip
    named = [f'{name}","email":"{name.lower().replace(" ", ".")}' for name in names]
    return Shape(
        head=(
            '{"address":"', Pick(addresses(address_width)),
            '","created":"', Timestamp(),
            '","currency":"', Pick(("CHF", "EUR", "EUR", "EUR", "GBP", "SEK", "USD", "USD")),
            '","customer":"', Pick(named), Digits(4), "@example.", Pick(("com", "net", "org")),
            '","id":', Ordinal(13), ',"items":[', *item,
        ),
        rows=(",", *item),
        middle=('],"note":"',),
        tail=(
            f'","paid":{paid},"state":"', Pick(states),
            '","total":"', Digits(total_width, head=True), ".", Digits(2),
            '","updated":"', Timestamp(), '"}',
        ),
    )  # fmt: skip


class StructuredJson(ShapedPayloads):
    """Payload ``id`` is order number 1,000,000,000,000 + ``id``."""

    takes_compressibility = True
    shapes: ClassVar = (
        _shape(9, 23, 2, "true", ("shipped", "waiting", "handled")),
        _shape(11, 24, 3, "true", ("sent", "done")),
        _shape(12, 26, 3, "false", ("open", "late", "held")),
        _shape(14, 25, 4, "false", ("ordered", "delayed", "dropped")),
    )
    least_object_bytes = max(shape.fixed_bytes for shape in shapes)

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.record_type = json_record(spec.payload, _FIELDS)
        target = spec.compressibility_percent
        if target is None:
            return
        greatest_bytes = self.sizes.greatest_bytes
        self._makers = [
            ShapeMaker(
                shape,
                spec.seed,
                f"{spec.payload} {number}",
                greatest_bytes,
                TextFiller(spec, self.sizes, shape.fixed_bytes, f"{spec.payload} {number}"),
            )
            for number, shape in enumerate(self.shapes)
        ]
