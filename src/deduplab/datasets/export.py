"""A dataset as files, for use outside deduplab: one file an object, and the manifest."""

from __future__ import annotations

import dataclasses
import errno
import mimetypes
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from blake3 import blake3

from deduplab.batch import Batch
from deduplab.dataset_spec import DatasetSpec, Manifest
from deduplab.datasets.dataset import KEY_DIGITS, SECOND_CONTAINER, Dataset
from deduplab.datasets.digest import StreamDigest
from deduplab.datasets.proof import prove
from deduplab.errors import DatasetError, DiskSpaceError

MANIFEST_NAME: Final = "manifest.json"
OBJECTS_NAME: Final = "objects"
FILES_A_FOLDER: Final = 1000

_BATCH_BYTES: Final = 8 * 1024 * 1024
_FORMAT: Final = "deduplab dataset 2"
_EXTENSIONS: Final = {"application/octet-stream": ".bin", "text/plain": ".txt"}

Progress = Callable[[int], None]


class _Format(msgspec.Struct):
    """What the manifest's file of any version holds."""

    format: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """What the manifest's file holds; the manifest as it was written, whatever is in it.

    ``seal`` covers what the files' bytes do not tell: the specification, what was
    planted, and the names of the files.
    """

    format: str
    extension: str
    seal: str
    manifest: msgspec.Raw


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
        If the directory holds something already, lies in the source, or can't be written.
    """
    source = dataset.spec.source
    if source is not None and directory.resolve().is_relative_to(Path(source).resolve()):
        # The next dataset of this source would hold this one.
        raise DatasetError(f"{str(directory)!r} lies in the source; name a directory outside")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise DatasetError(f"{str(directory)!r} is not empty; name a new directory")
        manifest = prove(dataset)
        extension = _extension(dataset)
        digest, seal = StreamDigest(), _Seal(extension, msgspec.json.encode(manifest))
        start = 0
        for batch in dataset.batches(_BATCH_BYTES):
            digest.update(batch)
            seal.update(batch.keys)
            _write_batch(batch, directory / OBJECTS_NAME, start, extension)
            start += len(batch)
            progress(batch.logical_bytes)
        if digest.hexdigest() != manifest.digest:
            raise DatasetError("the source changed between counting and writing; start again")
        document = _Document(_FORMAT, extension, seal.hexdigest(), seal.manifest)
        text = msgspec.json.format(msgspec.json.encode(document), indent=2)
        (directory / MANIFEST_NAME).write_bytes(text)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (DiskSpaceError if full else DatasetError)(
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
    return _manifest(directory, _read(directory))


def verify(directory: Path, progress: Progress) -> list[str]:
    """Count everything again from the files, and compare it with the manifest.

    Returns
    -------
    list of str
        A sentence for each field that differs; empty if all is as it should be.
        The specification and what was planted (near duplicates, variations of a
        corpus) can't be seen in the bytes alone; they are under the seal.

    Raises
    ------
    DatasetError
        If a file is missing, too many or under another name, or can't be read.
    """
    document = _read(directory)
    manifest = _manifest(directory, document)
    files = _Files(directory, document, manifest, progress)
    found = prove(files)
    planted = ("near_objects", "near_bytes", "varied_objects")
    found = dataclasses.replace(found, **{name: getattr(manifest, name) for name in planted})
    differences = [
        f"{field.name}: the manifest says {_short(expected)}, the files hold {_short(counted)}"
        for field in dataclasses.fields(Manifest)
        if (expected := getattr(manifest, field.name)) != (counted := getattr(found, field.name))
    ]
    if not differences and files.seal.hexdigest() != document.seal:
        differences.append(f"seal: {MANIFEST_NAME} or a file's name is not as it was written")
    return differences


class _Seal:
    """A BLAKE3 over extension, manifest (without spaces between its members) and all keys."""

    def __init__(self, extension: str, manifest: bytes | msgspec.Raw) -> None:
        self.manifest = msgspec.Raw(msgspec.json.format(bytes(manifest), indent=-1))
        self._hash = blake3(extension.encode() + b"\n" + bytes(self.manifest))

    def update(self, keys: Iterable[str]) -> None:
        """Add the keys of some objects, in insertion order."""
        self._hash.update("".join(f"\n{key}" for key in keys).encode())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class _Files:
    """The files of a directory, as the dataset that they were made from."""

    def __init__(
        self, directory: Path, document: _Document, manifest: Manifest, progress: Progress
    ) -> None:
        self.spec: DatasetSpec = manifest.spec
        self.objects = manifest.objects
        self.varied_objects = 0
        self.seal = _Seal(document.extension, document.manifest)
        self._objects = directory / OBJECTS_NAME
        self._extension = document.extension
        self._progress = progress
        # Before anything is counted, since room is taken for so many objects.
        _only(directory, [MANIFEST_NAME, OBJECTS_NAME])
        count = sum(self._counted(self._objects / name) for name in sorted(_names(self._objects)))
        if count != self.objects:
            raise DatasetError(
                f"{str(self._objects)!r} holds {count} objects, the manifest names {self.objects}"
            )
        _only(self._objects, [_folder(start) for start in range(0, count, FILES_A_FOLDER)])

    def _counted(self, folder: Path) -> int:
        names = _names(folder)
        for name in names:
            if not name.endswith(self._extension):
                raise _stranger(folder / name)
        return len(names)

    def near_copies(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Tell nothing: what was planted can't be seen in the bytes."""
        return np.zeros(stop - start, dtype=np.bool_)

    def batches(self, batch_bytes: int) -> Iterator[Batch]:
        """Yield the files' contents in the order of their names."""
        keys: list[str] = []
        payloads: list[bytes] = []
        waiting_bytes = 0
        for key, payload in self._read():
            changes = bool(keys) and _second(key) != _second(keys[0])
            if keys and (changes or waiting_bytes + len(payload) > batch_bytes):
                yield self._batch(keys, payloads)
                keys, payloads, waiting_bytes = [], [], 0
            keys.append(key)
            payloads.append(payload)
            waiting_bytes += len(payload)
            self._progress(len(payload))
        if keys:
            yield self._batch(keys, payloads)

    def _read(self) -> Iterator[tuple[str, bytes]]:
        for start in range(0, self.objects, FILES_A_FOLDER):
            folder = self._objects / _folder(start)
            for number, name in enumerate(sorted(_names(folder)), start):
                key = f"{self.spec.key_prefix}{number:0{KEY_DIGITS}d}"
                if name == f"{key}{SECOND_CONTAINER}{self._extension}":
                    key += SECOND_CONTAINER
                elif name != key + self._extension:
                    raise DatasetError(
                        f"{str(folder / name)!r} does not belong here, where "
                        f"{key + self._extension!r} was written"
                    )
                try:
                    payload = (folder / name).read_bytes()
                except OSError as error:
                    raise _unreadable(folder / name, error) from error
                yield key, payload

    def _batch(self, keys: list[str], payloads: list[bytes]) -> Batch:
        self.seal.update(keys)
        offsets = np.zeros(len(keys) + 1, dtype=np.int64)
        np.cumsum([len(payload) for payload in payloads], out=offsets[1:])
        return Batch(keys, memoryview(b"".join(payloads)), offsets)


def _second(key: str) -> bool:
    return key.endswith(SECOND_CONTAINER)


def _folder(number: int) -> str:
    """Return the folder that an object lies in."""
    return f"{number // FILES_A_FOLDER:08d}"


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names alone
    except OSError as error:
        raise _unreadable(folder, error) from error


def _only(folder: Path, expected: list[str]) -> None:
    """Refuse a folder that holds anything else, or not all of it."""
    names = set(_names(folder))
    for name in sorted(names.symmetric_difference(expected)):
        if name in names:
            raise _stranger(folder / name)
        raise DatasetError(f"{str(folder / name)!r} is missing")


def _stranger(path: Path) -> DatasetError:
    return DatasetError(f"{str(path)!r} does not belong here; remove it")


def _unreadable(path: Path, error: OSError) -> DatasetError:
    return DatasetError(f"{str(path)!r} can't be read: {error.strerror}")


def _write_batch(batch: Batch, objects: Path, start: int, extension: str) -> None:
    for number, (key, payload) in enumerate(zip(batch.keys, batch.payloads, strict=True), start):
        folder = objects / _folder(number)
        if number % FILES_A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / (key + extension)).write_bytes(payload)


def _extension(dataset: Dataset) -> str:
    if dataset.spec.copies.form == "gzip":
        return ".gz"
    content_type = dataset.content_type
    return _EXTENSIONS.get(content_type) or mimetypes.guess_extension(content_type) or ".bin"


def _read(directory: Path) -> _Document:
    path = directory / MANIFEST_NAME
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=_Format).format
        if found != _FORMAT:
            raise DatasetError(
                f"{str(path)!r} has format {found!r}, known is {_FORMAT!r}; make the dataset again"
            )
        document = msgspec.json.decode(content, type=_Document)
    except FileNotFoundError as error:
        raise DatasetError(
            f"{str(directory)!r} has no {MANIFEST_NAME}: it was not made by 'data make', or that "
            "was interrupted"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{str(path)!r} is no manifest: {error}") from error
    return document


def _manifest(directory: Path, document: _Document) -> Manifest:
    try:
        return msgspec.json.decode(document.manifest, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{str(directory / MANIFEST_NAME)!r} is no manifest: {error}") from error


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
