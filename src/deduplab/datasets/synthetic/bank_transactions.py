"""The family ``bank_transactions``: booked payments with accounts, amounts and a purpose.

Account numbers have valid check digits (ISO 13616) under a country code that no country
has. The purpose is prose and takes up the rest of the length. ``zstd -1`` takes away 35
% of objects of 1 KiB, 47 % of 4 KiB, 51 % of 8 KiB, 58 % of 64 KiB and 62 % of 1 MiB.
"""

from __future__ import annotations

from typing import ClassVar, Final

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.record_types import json_record
from deduplab.datasets.synthetic.columns import Digits, Hex, Iban, Ordinal, Pick, Timestamp, Uuid
from deduplab.datasets.synthetic.names import people
from deduplab.datasets.synthetic.row_template import Part
from deduplab.datasets.synthetic.shapes import Shape, ShapedPayloads
from deduplab.record import Field, FieldType

_FIELDS: Final = (
    Field("account", FieldType.TEXT),
    Field("amount", FieldType.DECIMAL, scale=2),
    Field("balance", FieldType.DECIMAL, scale=2),
    Field("bank", FieldType.TEXT, nullable=True),
    Field("booked", FieldType.TIMESTAMP),
    Field("counterpart", FieldType.TEXT),
    Field("counterpart_account", FieldType.TEXT),
    Field("currency", FieldType.TEXT),
    Field("id", FieldType.UUID),
    Field("number", FieldType.INTEGER),
    Field("purpose", FieldType.TEXT),
    Field("type", FieldType.TEXT),
)


def _shape(
    sign: str, amount_width: int, person_width: int, *, abroad: bool, types: tuple[str, ...]
) -> Shape:
    bank: tuple[Part, ...] = ('"XDBK', Hex(4), '"') if abroad else ("null",)
    return Shape(
        head=(
            '{"account":"', Iban(),
            f'","amount":"{sign}', Digits(amount_width, head=True), ".", Digits(2),
            '","balance":"', Digits(7 - amount_width, head=True), ".", Digits(2),
            '","bank":', *bank,
            ',"booked":"', Timestamp(),
            '","counterpart":"', Pick(people(person_width)),
            '","counterpart_account":"', Iban(),
            '","currency":"', Pick(("EUR", "EUR", "EUR", "CHF", "GBP", "USD")),
            '","id":"', Uuid(),
            '","number":', Ordinal(13), ',"purpose":"',
        ),
        tail=('","type":"', Pick(types), '"}'),
    )  # fmt: skip


class BankTransactions(ShapedPayloads):
    """Payload ``id`` is transaction number 1,000,000,000,000 + ``id``."""

    shapes: ClassVar = (
        _shape("-", 2, 10, abroad=False, types=("card payment", "direct debit")),
        _shape("-", 3, 12, abroad=True, types=("transfer", "purchase")),
        _shape("", 1, 13, abroad=False, types=("interest",)),
        _shape("", 4, 14, abroad=False, types=("salary", "refund", "credit")),
    )
    least_object_bytes = max(shape.fixed_bytes for shape in shapes)

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.record_type = json_record(spec.payload, _FIELDS)
