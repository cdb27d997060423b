"""The synthetic families for the tests: made one payload or many at a time, without a dataset."""

import importlib

import numpy as np
import zstandard

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets.payloads import Payloads

FAMILIES = {
    "random_binary": "RandomBinary",
    "structured_json": "StructuredJson",
    "text_document": "TextDocument",
    "uuid_keys": "UuidKeys",
    "jsonb_documents": "JsonbDocuments",
    "bank_transactions": "BankTransactions",
    "text_corpus": "TextCorpus",
    "numeric_dataset": "NumericDataset",
    "time_series": "TimeSeries",
    "mixed": "Mixed",
}
TYPED = ("structured_json", "bank_transactions", "text_corpus", "numeric_dataset", "time_series")
"""Those whose payloads are JSON objects with the same members."""
JSON = (*TYPED, "jsonb_documents")


def family(
    name: str,
    object_bytes: int,
    *,
    sizes: SizeSpec | None = None,
    seed: int = 1,
    percent: int | None = None,
) -> Payloads:
    spec = DatasetSpec(
        name,
        1 << 40,
        object_bytes,
        0,
        "none",
        seed=seed,
        sizes=sizes or SizeSpec(),
        compressibility_percent=percent,
    )
    module = importlib.import_module(f"deduplab.datasets.synthetic.{name}")
    payloads = getattr(module, FAMILIES[name])(spec)
    assert isinstance(payloads, Payloads)
    return payloads


def made(payloads: Payloads, ids: list[int]) -> list[bytes]:
    """Return the payloads with these ids, made in one go; exactly as long as they should be."""
    numbers = np.array(ids, dtype=np.int64)
    lengths = payloads.lengths(numbers)
    total = int(lengths.sum())
    # What is not written shows, and so does what is written too much.
    out = bytearray(b"\xee" * (total + 64))
    payloads.write(numbers, memoryview(out)[:total])
    assert out[total:] == b"\xee" * 64
    ends = np.cumsum(lengths).tolist()
    return [bytes(out[end - length : end]) for end, length in zip(ends, lengths, strict=True)]


def taken_away(found: list[bytes]) -> float:
    """Return the percentage that zstd at level 1 takes away, each payload compressed alone."""
    compressor = zstandard.ZstdCompressor(level=1)
    left = sum(len(compressor.compress(one)) for one in found)
    return 100 - 100 * left / sum(len(one) for one in found)
