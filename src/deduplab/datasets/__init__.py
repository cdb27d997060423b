"""Datasets: what is stored, as streams whose redundancy is known and proven."""

from deduplab.datasets.catalogue import PAYLOADS, PayloadEntry
from deduplab.datasets.dataset import PLACEMENTS, SECOND_CONTAINER, Dataset, build_dataset
from deduplab.datasets.digest import StreamDigest
from deduplab.datasets.forms import EDIT_KINDS, FORMS
from deduplab.datasets.proof import prove
from deduplab.datasets.source_files import missing_source

DISTANCES = ("adjacent", "shuffled")
"""The distances that have a name; others are numbers of bytes."""

__all__ = [
    "DISTANCES",
    "EDIT_KINDS",
    "FORMS",
    "PAYLOADS",
    "PLACEMENTS",
    "SECOND_CONTAINER",
    "Dataset",
    "PayloadEntry",
    "StreamDigest",
    "build_dataset",
    "missing_source",
    "prove",
]
