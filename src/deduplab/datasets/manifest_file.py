"""The file beside a dataset's files: its manifest, under a seal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from deduplab.dataset_spec import Manifest
from deduplab.errors import DatasetError

MANIFEST_NAME: Final = "manifest.json"
_FORMAT: Final = "deduplab dataset 2"


class _Format(msgspec.Struct):
    """What the manifest's file of any version holds."""

    format: str


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """What the manifest's file holds; the manifest as it was written, whatever is in it.

    ``seal`` covers what the files' bytes do not tell: the specification, what was
    planted, and the names of the files.
    """

    format: str
    extension: str
    seal: str
    manifest: msgspec.Raw


class Seal:
    """A BLAKE3 over extension, manifest (without spaces between its members) and all keys."""

    def __init__(self, extension: str, manifest: bytes | msgspec.Raw) -> None:
        self.manifest = msgspec.Raw(msgspec.json.format(bytes(manifest), indent=-1))
        self._hash = blake3(extension.encode() + b"\n" + bytes(self.manifest))

    def update(self, keys: Iterable[str]) -> None:
        """Add the keys of some objects, in insertion order."""
        self._hash.update("".join(f"\n{key}" for key in keys).encode())

    def hexdigest(self) -> str:
        """Return the seal as it is written down."""
        return self._hash.hexdigest()


def write_document(directory: Path, extension: str, seal: Seal) -> None:
    """Write the manifest that a seal covers, when the seal knows all keys.

    Raises
    ------
    OSError
        If it can't be written.
    """
    document = Document(_FORMAT, extension, seal.hexdigest(), seal.manifest)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    (directory / MANIFEST_NAME).write_bytes(text)


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a directory that ``export.write`` made.

    Raises
    ------
    DatasetError
        If there is none, or it is broken.
    """
    return manifest_of(directory, read_document(directory))


def read_document(directory: Path) -> Document:
    """Return what the manifest's file in a directory holds; the manifest itself is not read yet.

    Raises
    ------
    DatasetError
        If there is none, it is of another format, or broken.
    """
    path = directory / MANIFEST_NAME
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=_Format).format
        if found != _FORMAT:
            raise DatasetError(
                f"{str(path)!r} has format {found!r}, known is {_FORMAT!r}; make the dataset again"
            )
        document = msgspec.json.decode(content, type=Document)
    except FileNotFoundError as error:
        raise DatasetError(
            f"{str(directory)!r} has no {MANIFEST_NAME}: it was not made by 'data make', or that "
            "was interrupted"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{str(path)!r} is no manifest: {error}") from error
    return document


def manifest_of(directory: Path, document: Document) -> Manifest:
    """Return the manifest in a directory's document.

    Raises
    ------
    DatasetError
        If it is broken.
    """
    try:
        return msgspec.json.decode(document.manifest, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DatasetError(f"{str(directory / MANIFEST_NAME)!r} is no manifest: {error}") from error


def unreadable(path: Path, error: OSError) -> DatasetError:
    """Return the error for a file or folder of a dataset that can't be read."""
    return DatasetError(f"{str(path)!r} can't be read: {error.strerror}")
