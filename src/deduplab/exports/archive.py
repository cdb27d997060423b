"""An archive as a target: one file a run, with the same bytes for the same run."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from deduplab.errors import PlanError, StoreError
from deduplab.exports.content import Content
from deduplab.exports.manifest import FILE_NAME, Manifest
from deduplab.exports.target import CHUNK_BYTES, StoredFile, Target, require_writable
from deduplab.run_files import sync_directory

ENDINGS: Final = (".tar.gz", ".tgz", ".zip")
RUN: Final = "{run}"
"""What stands in an archive's name for the run's id."""

_LEVEL: Final = 6
_MODE: Final = 0o644
_UNIX: Final = 3  # who made a ZIP, so that the mode counts
_ZIP_BEGINS: Final = (1980, 1, 1, 0, 0, 0)  # no earlier time can be written
_DAMAGED: Final = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile)


class ArchiveTarget(Target):
    """An archive a run; ``{run}`` in its name stands for the run's id."""

    def __init__(self, pattern: Path) -> None:
        self.pattern = pattern.expanduser().absolute()
        if RUN in str(self.pattern.parent):
            raise PlanError(f"{pattern}: {RUN} stands for the run in an archive's own name only")
        self.shown = self.reopen = str(self.pattern)

    @property
    def takes_several(self) -> bool:
        """Whether each run has an archive of its own."""
        return RUN in self.pattern.name

    def lies_in(self, directory: Path) -> bool:
        """Whether the archive is in a directory, links followed."""
        return self.pattern.parent.resolve().is_relative_to(directory.resolve())

    def check(self) -> None:
        """Look whether the archive's folder can be written to, or made."""
        require_writable(self.pattern.parent)

    def manifest(self, name: str) -> Manifest | None:
        """Read the manifest in a run's archive."""
        path = self._path(name)
        if not path.exists():
            return None
        for member, content in self.read(name):
            if member == FILE_NAME:
                return Manifest.parse(b"".join(content), f"{FILE_NAME} in {path}")
        raise StoreError(
            f"{path} is there and is no export ({FILE_NAME} is missing), so it is left as it is; "
            "name another archive"
        )

    def write(self, content: Content) -> None:
        """Write the archive aside, sync it, and rename it."""
        path = self._path(content.name)
        aside = path.with_name(f".staging-{path.name}")
        write = _write_zip if path.name.endswith(".zip") else _write_tar
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                write(content, file)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(path)
            sync_directory(path.parent)
        finally:
            aside.unlink(missing_ok=True)

    def read(self, name: str) -> Iterator[StoredFile]:
        """Yield the members of a run's archive.

        Raises
        ------
        StoreError
            If it is damaged, or another run's.
        """
        path = self._path(name)
        read = _read_zip if path.name.endswith(".zip") else _read_tar
        try:
            for member, content in read(path):
                folder, _, inner = member.partition("/")
                if folder != name:
                    raise StoreError(
                        f"{path} holds {folder}, and not run {name}; name another archive, or "
                        f"'{RUN}{_ending(path)}' for one a run"
                    )
                yield inner, content
        except _DAMAGED as error:
            raise StoreError(f"{path} is no archive, or is damaged: {error}") from error

    def _path(self, name: str) -> Path:
        return self.pattern.with_name(self.pattern.name.replace(RUN, name))


def is_archive(name: str) -> bool:
    """Whether a name is that of an archive, by its ending."""
    return name.endswith(ENDINGS)


def _ending(path: Path) -> str:
    return next(ending for ending in ENDINGS if path.name.endswith(ending))


def _members(content: Content) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield names, lengths and open files in the order of names, the manifest last."""
    for path, source in sorted(content.files.items()):
        with source.open("rb") as file:
            yield f"{content.name}/{path}", source.stat().st_size, file
    manifest = content.manifest.to_bytes()
    yield f"{content.name}/{FILE_NAME}", len(manifest), io.BytesIO(manifest)


def _write_tar(content: Content, file: IO[bytes]) -> None:
    # No name, time, user or mode of this machine: the same run gives the same bytes.
    with (
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, length_bytes, source in _members(content):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = length_bytes, _MODE
            entry.mtime = content.created_unix_ns // 10**9
            archive.addfile(entry, source)


def _write_zip(content: Content, file: IO[bytes]) -> None:
    began = datetime.fromtimestamp(content.created_unix_ns / 1e9, UTC)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, length_bytes, source in _members(content):
            entry = zipfile.ZipInfo(name, max(began.timetuple()[:6], _ZIP_BEGINS))
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, _UNIX
            entry.external_attr, entry.file_size = _MODE << 16, length_bytes
            with archive.open(entry, "w") as member:
                shutil.copyfileobj(source, member, CHUNK_BYTES)


def _read_tar(path: Path) -> Iterator[StoredFile]:
    with tarfile.open(path, "r|gz") as archive:
        for entry in archive:
            member = archive.extractfile(entry) if entry.isreg() else None
            if member is None:
                raise StoreError(f"{path} holds {entry.name!r}, which is no file")
            yield entry.name, _read_on(member)


def _read_zip(path: Path) -> Iterator[StoredFile]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as member:
                yield entry.filename, _read_on(member)


def _read_on(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK_BYTES):
        yield piece
