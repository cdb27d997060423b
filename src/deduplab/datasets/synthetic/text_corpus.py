"""The family ``text_corpus``: posts of a forum, with votes, half of them replies.

The body is prose and takes up the rest of the length. ``zstd -1`` takes away 38 % of
objects of 1 KiB, 48 % of 4 KiB, 52 % of 8 KiB, 58 % of 64 KiB and 62 % of 1 MiB.
"""

from __future__ import annotations

from typing import ClassVar, Final

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.record_types import json_record
from deduplab.datasets.synthetic.columns import Digits, Ordinal, Pick, Timestamp
from deduplab.datasets.synthetic.language import capital_fragments, plain_endings
from deduplab.datasets.synthetic.names import FIRST_NAMES, GOODS, pairs_of_width
from deduplab.datasets.synthetic.row_template import Part
from deduplab.datasets.synthetic.shapes import Shape, ShapedPayloads
from deduplab.record import Field, FieldType

_FIELDS: Final = (
    Field("author", FieldType.TEXT),
    Field("body", FieldType.TEXT),
    Field("category", FieldType.TEXT),
    Field("created", FieldType.TIMESTAMP),
    Field("headline", FieldType.TEXT),
    Field("id", FieldType.INTEGER),
    Field("negative_votes", FieldType.INTEGER),
    Field("parent", FieldType.INTEGER, nullable=True),
    Field("positive_votes", FieldType.INTEGER),
)


def _shape(
    author_width: int, negative: int, positive: int, *, reply: bool, categories: tuple[str, ...]
) -> Shape:
    parent: tuple[Part, ...] = ("1", Digits(6), Digits(6)) if reply else ("null",)
    names = [name.lower() for name in FIRST_NAMES]
    return Shape(
        head=(
            '{"author":"', Pick(pairs_of_width(names, GOODS, author_width, "_")), Digits(2),
            '","body":"',
        ),
        tail=(
            '","category":"', Pick(categories),
            '","created":"', Timestamp(),
            '","headline":"', Pick(capital_fragments()), Pick(plain_endings()),
            '","id":', Ordinal(13),
            ',"negative_votes":', Digits(negative, head=True),
            ',"parent":', *parent,
            ',"positive_votes":', Digits(positive, head=True), "}",
        ),
    )  # fmt: skip


class TextCorpus(ShapedPayloads):
    """Payload ``id`` is post number 1,000,000,000,000 + ``id``."""

    shapes: ClassVar = (
        _shape(9, 1, 2, reply=False, categories=("music", "games", "tools")),
        _shape(11, 2, 4, reply=False, categories=("travel", "health", "garden")),
        _shape(10, 1, 1, reply=True, categories=("cooking", "science", "history")),
        _shape(12, 3, 2, reply=True, categories=("news", "jobs", "home")),
    )
    least_object_bytes = max(shape.fixed_bytes for shape in shapes)

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self.record_type = json_record(spec.payload, _FIELDS)
