"""A dataset as files, for use outside deduplab: one file an object, and the manifest."""

from __future__ import annotations

import dataclasses
import mimetypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deduplab.batch import Batch
from deduplab.dataset_spec import DatasetSpec, Manifest
from deduplab.datasets.dataset import Dataset
from deduplab.datasets.proof import prove
from deduplab.errors import DatasetError

MANIFEST_NAME: Final = "manifest.json"
OBJECTS_NAME: Final = "objects"
FILES_A_FOLDER: Final = 1000

_BATCH_BYTES: Final = 8 * 1024 * 1024
_FORMAT: Final = "deduplab dataset 1"
_EXTENSIONS: Final = {"application/octet-stream": ".bin", "text/plain": ".txt"}

Progress = Callable[[int], None]


class _Document(msgspec.Struct):
    """What the manifest's file holds."""

    format: str
    extension: str
    manifest: Manifest


def write(dataset: Dataset, directory: Path, progress: Progress) -> Manifest:
    """Write a dataset to a new or empty directory, and return its manifest.

    Objects lie in ``objects/``, 1000 to a folder, as files that bear their keys
    as names; in the order of their names they are in insertion order. The
    manifest is written last, so a directory that has one is whole.

    Parameters
    ----------
    progress
        Called with the number of bytes written since the call before.

    Raises
    ------
    DatasetError
        If the directory holds something already, or can't be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise DatasetError(f"{str(directory)!r} is not empty; name a new directory")
        manifest = prove(dataset)
        extension = _extension(dataset)
        start = 0
        for batch in dataset.batches(_BATCH_BYTES):
            _write_batch(batch, directory / OBJECTS_NAME, start, extension)
            start += len(batch)
            progress(batch.logical_bytes)
        document = _Document(_FORMAT, extension, manifest)
        text = msgspec.json.format(msgspec.json.encode(document), indent=2)
        (directory / MANIFEST_NAME).write_bytes(text)
    except OSError as error:
        raise DatasetError(
            f"{str(directory)!r} can't be written: {error.strerror or error}"
        ) from error
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a directory that :func:`write` made.

    Raises
    ------
    DatasetError
        If there is none, or it is broken.
    """
    return _read(directory).manifest


def verify(directory: Path, progress: Progress) -> list[str]:
    """Count everything again from the files, and compare it with the manifest.

    Returns
    -------
    list of str
        A sentence for each field that differs; empty if all is as it should be.
        What was planted (near duplicates, variations of a corpus) can't be seen in
        the bytes alone and is not compared.

    Raises
    ------
    DatasetError
        If a file is missing or too many, or can't be read.
    """
    document = _read(directory)
    manifest = document.manifest
    files = _Files(directory, document, progress)
    found = prove(files)
    planted = ("near_objects", "near_bytes", "varied_objects")
    found = dataclasses.replace(found, **{name: getattr(manifest, name) for name in planted})
    return [
        f"{field.name}: the manifest says {_short(expected)}, the files hold {_short(counted)}"
        for field in dataclasses.fields(Manifest)
        if (expected := getattr(manifest, field.name)) != (counted := getattr(found, field.name))
    ]


class _Files:
    """The files of a directory, as the dataset that they were made from."""

    def __init__(self, directory: Path, document: _Document, progress: Progress) -> None:
        self.spec: DatasetSpec = document.manifest.spec
        self.objects = document.manifest.objects
        self.varied_objects = 0
        self._objects = directory / OBJECTS_NAME
        self._extension = document.extension
        self._progress = progress

    def near_copies(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Tell nothing: what was planted can't be seen in the bytes."""
        return np.zeros(stop - start, dtype=np.bool_)

    def batches(self, batch_bytes: int) -> Iterator[Batch]:
        """Yield the files' contents in the order of their names."""
        keys: list[str] = []
        payloads: list[bytes] = []
        waiting_bytes = 0
        for key, payload in self._read():
            changes = bool(keys) and key.endswith("x") != keys[0].endswith("x")
            if keys and (changes or waiting_bytes + len(payload) > batch_bytes):
                yield _batch(keys, payloads)
                keys, payloads, waiting_bytes = [], [], 0
            keys.append(key)
            payloads.append(payload)
            waiting_bytes += len(payload)
            self._progress(len(payload))
        if keys:
            yield _batch(keys, payloads)

    def _read(self) -> Iterator[tuple[str, bytes]]:
        count = 0
        try:
            for folder in sorted(self._objects.iterdir()):
                for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names alone
                    if not name.endswith(self._extension):
                        raise DatasetError(
                            f"{str(folder / name)!r} does not belong here; remove it"
                        )
                    count += 1
                    yield name.removesuffix(self._extension), (folder / name).read_bytes()
        except OSError as error:
            raise DatasetError(
                f"{str(error.filename)!r} can't be read: {error.strerror}"
            ) from error
        if count != self.objects:
            raise DatasetError(
                f"{str(self._objects)!r} holds {count} objects, the manifest names {self.objects}"
            )


def _write_batch(batch: Batch, objects: Path, start: int, extension: str) -> None:
    for number, (key, payload) in enumerate(zip(batch.keys, batch.payloads, strict=True), start):
        folder = objects / f"{number // FILES_A_FOLDER:08d}"
        if number % FILES_A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / (key + extension)).write_bytes(payload)


def _batch(keys: list[str], payloads: list[bytes]) -> Batch:
    offsets = np.zeros(len(keys) + 1, dtype=np.int64)
    np.cumsum([len(payload) for payload in payloads], out=offsets[1:])
    return Batch(keys, memoryview(b"".join(payloads)), offsets)


def _extension(dataset: Dataset) -> str:
    if dataset.spec.copies.form == "gzip":
        return ".gz"
    content_type = dataset.content_type
    return _EXTENSIONS.get(content_type) or mimetypes.guess_extension(content_type) or ".bin"


def _read(directory: Path) -> _Document:
    path = directory / MANIFEST_NAME
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except FileNotFoundError as error:
        raise DatasetError(
            f"{str(directory)!r} has no {MANIFEST_NAME}: it was not made by 'data make', or that "
            "was interrupted"
        ) from error
    except OSError as error:
        raise DatasetError(f"{str(path)!r} can't be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{str(path)!r} is no manifest: {error}") from error
    if document.format != _FORMAT:
        raise DatasetError(f"{str(path)!r} has format {document.format!r}, known is {_FORMAT!r}")
    return document


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
