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

    ``needs_source`` tells whether a dataset of it needs ``source``.
    """

    name: str
    summary: str
    location: str
    needs_source: bool = False

    def payloads_class(self) -> type[Payloads]:
        """Import and return the family's class."""
        module_name, _, attribute = self.location.partition(":")
        return cast("type[Payloads]", getattr(importlib.import_module(module_name), attribute))


PAYLOADS: Final[Mapping[str, PayloadEntry]] = {
    entry.name: entry
    for entry in (
        PayloadEntry(
            "random_binary",
            "random bytes, which nothing compresses",
            "deduplab.datasets.random_binary:RandomBinary",
        ),
        PayloadEntry(
            "text_document",
            "sentences of made-up words, which compress to about 40 %",
            "deduplab.datasets.text_document:TextDocument",
        ),
        PayloadEntry(
            "files",
            "pieces of your own files, from the folder or file named as source",
            "deduplab.datasets.files:FilePieces",
            needs_source=True,
        ),
    )
}
