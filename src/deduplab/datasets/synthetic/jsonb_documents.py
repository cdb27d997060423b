"""The family ``jsonb_documents``: JSON documents without a common schema, in canonical form.

There are six kinds of document: a profile, a product, an event, a device, an article
and a case. Members, nesting and types differ from kind to kind. Each has a list, for
half of its room, and a text that takes up the rest of the length. ``zstd -1`` takes
away 40 % of objects of 1 KiB, 51 % of 4 KiB, 54 % of 8 KiB, 60 % of 64 KiB and 66 % of
1 MiB.
"""

from __future__ import annotations

from typing import ClassVar, Final

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.record_types import json_document
from deduplab.datasets.synthetic.columns import (
    Digits,
    Hex,
    Ordinal,
    Pick,
    Timestamp,
    Uuid,
    fraction,
)
from deduplab.datasets.synthetic.language import plain_endings, plain_fragments
from deduplab.datasets.synthetic.names import CITIES, addresses, goods, of_width, people
from deduplab.datasets.synthetic.row_template import Part
from deduplab.datasets.synthetic.shapes import Shape, ShapedPayloads

_VISIT: Final[tuple[Part, ...]] = (
    '{"at":"', Timestamp(), '","page":"/', Hex(8), '","seconds":', Digits(3, head=True), "}",
)  # fmt: skip
_PART: Final[tuple[Part, ...]] = (
    '["', Pick(goods(11)), '",', Digits(3, head=True), ",", *fraction(8), ",false]",
)  # fmt: skip
_CHANGE: Final[tuple[Part, ...]] = (
    '{"added":', Digits(3, head=True), ',"file":"', Pick(goods(12)), '","sha":"', Hex(16), '"}',
)  # fmt: skip
_SENSOR: Final[tuple[Part, ...]] = (
    '{"limits":{"high":', *fraction(9), ',"low":null},"name":"', Hex(8), '","value":',
    *fraction(10), "}",
)  # fmt: skip
_REPLY: Final[tuple[Part, ...]] = (
    '{"by":"', Pick(people(12)), '","likes":', Digits(2, head=True), ',"text":"',
    Pick(plain_fragments()), Pick(plain_endings()), '"}',
)  # fmt: skip
_STEP: Final[tuple[Part, ...]] = (
    "[", Timestamp(microseconds=True), ',"', Pick(("open", "wait", "hold", "done")), '",{"by":',
    Digits(6, head=True), "}]",
)  # fmt: skip


def _listed(
    head: tuple[Part, ...], element: tuple[Part, ...], after: tuple[Part, ...], *tail: Part
) -> Shape:
    """Return a shape with a list of elements, and what comes between the list and the text."""
    return Shape(head=(*head, *element), rows=(",", *element), middle=after, tail=tail)


_PROFILE: Final = _listed(
    (
        '{"_id":"', Uuid(), '","active":true,"contact":{"email":null,"phones":["+99', Digits(9),
        '"]},"name":"', Pick(people(13)), '","scores":[', Digits(2, head=True), ",",
        *fraction(8), ',null],"visits":[',
    ),
    _VISIT,
    ('],"wishes":"',),
    '"}',
)  # fmt: skip
_PRODUCT: Final = _listed(
    (
        '{"article":{"brand":"', Pick(of_width(CITIES, 6)), '","code":"', Hex(12),
        '"},"colours":["red","', Pick(("green", "brown", "black", "white")), '"],"number":',
        Ordinal(13), ',"parts":[',
    ),
    _PART,
    (
        '],"price":{"amount":', Digits(3, head=True), ".", Digits(2, tail=True),
        ',"currency":"EUR"},"sold":false,"text":"',
    ),
    '","weight":', *fraction(7), "}",
)  # fmt: skip
_EVENT: Final = _listed(
    (
        '{"actor":{"id":', Digits(7, head=True), ',"login":"', Hex(8), '"},"at":"', Timestamp(),
        '","changes":[',
    ),
    _CHANGE,
    ('],"id":"', Uuid(), '","public":true,"summary":"'),
    '","type":"', Pick(("push", "fork", "pull", "star")), '"}',
)  # fmt: skip
_DEVICE: Final = _listed(
    (
        '{"_id":', Ordinal(13), ',"firmware":[', Digits(1), ",", Digits(2, head=True),
        ',0],"place":{"city":"', Pick(of_width(CITIES, 7)), '","position":[', *fraction(9), ",",
        *fraction(9), ']},"sensors":[',
    ),
    _SENSOR,
    ('],"serial":"', Hex(16), '","status":"'),
    '"}',
)  # fmt: skip
_ARTICLE: Final = _listed(
    (
        '{"authors":["', Pick(people(11)), '","', Pick(people(14)), '"],"comments":[',
    ),
    _REPLY,
    ('],"draft":false,"number":', Ordinal(13), ',"paragraphs":["'),
    '"],"published":"', Timestamp(), '","tags":{},"title":"', Pick(plain_endings()), '"}',
)  # fmt: skip
_CASE: Final = _listed(
    (
        '{"address":"', Pick(addresses(24)), '","amounts":{"due":"', Digits(4, head=True), ".",
        Digits(2), '","paid":null},"case":"', Uuid(), '","closed":false,"history":[',
    ),
    _STEP,
    ('],"letter":{"text":"',),
    '","words":', Digits(3, head=True), "}}",
)  # fmt: skip


class JsonbDocuments(ShapedPayloads):
    """Payload ``id`` is a document; each kind is as frequent as any other."""

    shapes: ClassVar = (_PROFILE, _PRODUCT, _EVENT, _DEVICE, _ARTICLE, _CASE)
    least_object_bytes = max(shape.fixed_bytes for shape in shapes)

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.record_type = json_document(spec.payload)
