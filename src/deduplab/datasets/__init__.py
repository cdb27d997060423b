"""Datasets: what is stored, as streams whose redundancy is known and proven."""

from deduplab.datasets.catalogue import PAYLOADS, PayloadEntry
from deduplab.datasets.dataset import Dataset, build_dataset
from deduplab.datasets.digest import StreamDigest
from deduplab.datasets.proof import prove

__all__ = ["PAYLOADS", "Dataset", "PayloadEntry", "StreamDigest", "build_dataset", "prove"]
