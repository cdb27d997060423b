"""Manifests of a campaign: each dataset is proven once, and its manifest kept by the run."""

from __future__ import annotations

import dataclasses
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from deduplab.cell import hash_of
from deduplab.dataset_spec import Manifest
from deduplab.datasets import Dataset, prove
from deduplab.errors import unwritten


class ManifestCache:
    """Manifests by specification, in a directory of the run.

    A kept manifest is still checked: the load re-derives its digest from the
    bytes that it hands over.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def manifest(self, dataset: Dataset) -> Manifest:
        """Return the dataset's manifest, proven from its bytes now or earlier in this run."""
        path = self._directory / f"{hash_of(dataclasses.asdict(dataset.spec))[:20]}.json"
        try:
            kept: Manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            # Not there, or damaged as by a power failure: the data tell all of it again.
            return self._prove(dataset, path)
        return kept if kept.spec == dataset.spec else self._prove(dataset, path)

    def _prove(self, dataset: Dataset, path: Path) -> Manifest:
        manifest = prove(dataset)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            path.parent.mkdir(exist_ok=True)
            aside.write_bytes(msgspec.json.encode(manifest))
            aside.replace(path)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            raise unwritten(
                f"the manifest {path} can't be written",
                error,
                "; what was committed stays, and the same command goes on with it",
            ) from error
        return manifest
