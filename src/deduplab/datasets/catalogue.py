"""The catalogue of payload families: names to classes, imported late."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from deduplab.datasets.payloads import Payloads


@dataclass(frozen=True, slots=True)
class PayloadEntry:
    """A payload family: its name, one line that says what it is, and where its class is found.

    ``source`` tells whether a dataset of it has one: ``none``, ``optional``
    (else what was fetched) or ``needed``. ``kind`` is ``synthetic`` or ``real``.
    """

    name: str
    summary: str
    location: str
    kind: str = "synthetic"
    source: str = "none"

    def payloads_class(self) -> type[Payloads]:
        """Import and return the family's class."""
        module_name, _, attribute = self.location.partition(":")
        return cast("type[Payloads]", getattr(importlib.import_module(module_name), attribute))


def _synthetic(name: str, summary: str, class_name: str) -> PayloadEntry:
    return PayloadEntry(name, summary, f"deduplab.datasets.synthetic.{name}:{class_name}")


def _real(name: str, summary: str, location: str, source: str = "optional") -> PayloadEntry:
    return PayloadEntry(name, summary, f"deduplab.datasets.{location}", "real", source)


PAYLOADS: Final[Mapping[str, PayloadEntry]] = {
    entry.name: entry
    for entry in (
        _synthetic(
            "random_binary",
            "random bytes, which nothing compresses unless asked to",
            "RandomBinary",
        ),
        _synthetic("structured_json", "orders with the same members, as JSON", "StructuredJson"),
        _synthetic("text_document", "a title and sentences of made-up words", "TextDocument"),
        _synthetic("uuid_keys", "UUIDs, one a line", "UuidKeys"),
        _synthetic("jsonb_documents", "nested JSON documents without a schema", "JsonbDocuments"),
        _synthetic(
            "bank_transactions",
            "booked payments with accounts, amounts and a purpose",
            "BankTransactions",
        ),
        _synthetic("text_corpus", "posts with votes, half of them replies", "TextCorpus"),
        _synthetic(
            "numeric_dataset", "whole numbers, floats and decimals, in rows", "NumericDataset"
        ),
        _synthetic(
            "time_series", "measurements with tags, one after another in time", "TimeSeries"
        ),
        _synthetic("mixed", "40 % texts, 30 % JSON, 20 % binary, 10 % UUIDs", "Mixed"),
        _real("nasa_image", "tiles of the Hubble deep field", "corpora.nasa_image:NasaImage"),
        _real("blender_video", "byte ranges of an open film", "corpora.blender_video:BlenderVideo"),
        _real("gutenberg_text", "chapters of novels", "corpora.gutenberg_text:GutenbergText"),
        _real("github_events", "public events as JSON", "corpora.github_events:GithubEvents"),
        _real("files", "your own folder, archive or table", "files:UserFiles", "needed"),
    )
}
