"""A dataset as files, for use outside deduplab: one file an object, and the manifest."""

from __future__ import annotations

import dataclasses
import errno
import mimetypes
import shutil
from pathlib import Path
from typing import Final

import msgspec

from deduplab.dataset_spec import Manifest
from deduplab.datasets.dataset import Dataset
from deduplab.datasets.digest import StreamDigest
from deduplab.datasets.manifest_file import (
    MANIFEST_NAME,
    Seal,
    manifest_of,
    read_document,
    write_document,
)
from deduplab.datasets.object_files import OBJECTS_NAME, ObjectFiles, Progress, write_batch
from deduplab.datasets.proof import prove
from deduplab.errors import DatasetError, DiskSpaceError

_BATCH_BYTES: Final = 8 * 1024 * 1024
_EXTENSIONS: Final = {"application/octet-stream": ".bin", "text/plain": ".txt"}


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
        If the directory holds something already, lies in the source, or can't be written;
        what was written until then is removed.
    """
    source = dataset.spec.source
    if source is not None and directory.resolve().is_relative_to(Path(source).resolve()):
        # The next dataset of this source would hold this one.
        raise DatasetError(f"{str(directory)!r} lies in the source; name a directory outside")
    try:
        objects = _new_objects(directory)
        try:
            return _write(dataset, directory, objects, progress)
        except BaseException:
            # Nothing was there before, and a part is of no use: the same command can be said again.
            shutil.rmtree(objects, ignore_errors=True)
            (directory / MANIFEST_NAME).unlink(missing_ok=True)
            raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (DiskSpaceError if full else DatasetError)(
            f"{str(directory)!r} can't be written: {error.strerror or error}"
        ) from error


def _new_objects(directory: Path) -> Path:
    """Make the folder of objects in a directory that holds nothing yet."""
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise DatasetError(f"{str(directory)!r} is not empty; name a new directory")
    objects = directory / OBJECTS_NAME
    try:
        objects.mkdir()
    except FileExistsError as error:
        raise DatasetError(
            f"another process writes a dataset to {str(directory)!r}; name another directory"
        ) from error
    return objects


def _write(dataset: Dataset, directory: Path, objects: Path, progress: Progress) -> Manifest:
    manifest = prove(dataset)
    extension = _extension(dataset)
    digest, seal = StreamDigest(), Seal(extension, msgspec.json.encode(manifest))
    start = 0
    for batch in dataset.batches(_BATCH_BYTES):
        digest.update(batch)
        seal.update(batch.keys)
        write_batch(batch, objects, start, extension)
        start += len(batch)
        progress(batch.logical_bytes)
    if digest.hexdigest() != manifest.digest:
        raise DatasetError("the source changed between counting and writing; start again")
    write_document(directory, extension, seal)
    return manifest


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
    document = read_document(directory)
    manifest = manifest_of(directory, document)
    files = ObjectFiles(directory, document, manifest, progress)
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


def _extension(dataset: Dataset) -> str:
    if dataset.spec.copies.form == "gzip":
        return ".gz"
    content_type = dataset.content_type
    return _EXTENSIONS.get(content_type) or mimetypes.guess_extension(content_type) or ".bin"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
