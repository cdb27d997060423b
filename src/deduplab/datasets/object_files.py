"""A dataset's objects as files: 1000 to a folder, each with its key as name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.batch import Batch
from deduplab.dataset_spec import DatasetSpec, Manifest
from deduplab.datasets.dataset import KEY_DIGITS, SECOND_CONTAINER
from deduplab.datasets.manifest_file import MANIFEST_NAME, Document, Seal, unreadable
from deduplab.errors import DatasetError

OBJECTS_NAME: Final = "objects"
FILES_A_FOLDER: Final = 1000

Progress = Callable[[int], None]
"""Called with the number of bytes done since the call before."""


def write_batch(batch: Batch, objects: Path, start: int, extension: str) -> None:
    """Write objects as files; ``start`` is the place of the first among all.

    Raises
    ------
    OSError
        If one can't be written.
    """
    for number, (key, payload) in enumerate(zip(batch.keys, batch.payloads, strict=True), start):
        folder = objects / _folder(number)
        if number % FILES_A_FOLDER == 0:
            folder.mkdir()
        (folder / (key + extension)).write_bytes(payload)


class ObjectFiles:
    """The files of a directory, as the dataset that they were made from.

    Parameters
    ----------
    document, manifest
        What lies beside them.

    Raises
    ------
    DatasetError
        If a file or folder is missing, or too many.
    """

    def __init__(
        self, directory: Path, document: Document, manifest: Manifest, progress: Progress
    ) -> None:
        self.spec: DatasetSpec = manifest.spec
        self.objects = manifest.objects
        self.varied_objects = 0
        self.seal = Seal(document.extension, document.manifest)
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
                    # A pipe would be waited for, and a link's file lies elsewhere.
                    if not stat.S_ISREG((folder / name).lstat().st_mode):
                        raise DatasetError(f"{str(folder / name)!r} is no regular file")
                    payload = (folder / name).read_bytes()
                except OSError as error:
                    raise unreadable(folder / name, error) from error
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
    except NotADirectoryError as error:
        raise _stranger(folder) from error
    except OSError as error:
        raise unreadable(folder, error) from error


def _only(folder: Path, expected: list[str]) -> None:
    """Refuse a folder that holds anything else, or not all of it."""
    names = set(_names(folder))
    for name in sorted(names.symmetric_difference(expected)):
        if name in names:
            raise _stranger(folder / name)
        raise DatasetError(f"{str(folder / name)!r} is missing")


def _stranger(path: Path) -> DatasetError:
    return DatasetError(f"{str(path)!r} does not belong here; remove it")
