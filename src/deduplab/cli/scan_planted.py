"""The payloads that ``--planted`` names, to be sought in a system's files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from deduplab import dataset_file
from deduplab.bound.planted import Payloads
from deduplab.bound.sources.files import FileSource
from deduplab.datasets import build_dataset
from deduplab.datasets.manifest_file import read_manifest
from deduplab.datasets.object_files import OBJECTS_NAME
from deduplab.errors import DatasetError, PlanError
from deduplab.units import MIB

_BATCH_BYTES: Final = 8 * MIB


def planted_payloads(text: str) -> Payloads:
    """Return what ``--planted`` names: a directory of ``data make``, or a specification.

    Raises
    ------
    PlanError
        If it is neither.
    DatasetError
        If the directory is not whole.
    """
    path = Path(text)
    if path.is_dir():
        read_manifest(path)
        return lambda: _file_payloads(path / OBJECTS_NAME)
    if not path.is_file():
        raise PlanError(
            f"--planted {text!r} is not there; name a directory that 'deduplab data make' "
            "wrote, or the TOML file that it was made from"
        )
    dataset = build_dataset(dataset_file.load(path))
    return lambda: (
        payload for batch in dataset.batches(_BATCH_BYTES) for payload in batch.payloads
    )


def _file_payloads(objects: Path) -> Iterator[bytes]:
    source = FileSource(str(objects))
    waiting = bytearray()
    for block in source.blocks():
        bounds = block.offsets.tolist()
        for place, (begin, end) in enumerate(pairwise(bounds)):
            waiting += block.data[begin:end]
            if place < len(bounds) - 2 or not block.continues:
                yield bytes(waiting)
                waiting.clear()
    if source.left_out:
        first = source.left_out[0]
        raise DatasetError(f"a planted object can't be used: {first.name}: {first.reason}")
