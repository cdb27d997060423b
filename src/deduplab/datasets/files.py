"""The family ``files``: the user's own files, in pieces or whole, each content once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import ClassVar, Final

from deduplab.datasets.corpora.archive import ArchiveMembers, is_archive
from deduplab.datasets.corpora.records import RECORD_SUFFIXES, open_records
from deduplab.datasets.extents import GREATEST_LENGTH_BYTES, SPOOL
from deduplab.datasets.real_payloads import (
    ObjectScan,
    RealPayloads,
)
from deduplab.datasets.record_types import content_record
from deduplab.datasets.source_files import (
    SourceFile,
    is_folder,
    opened,
    refuse_special,
    regular_files,
)
from deduplab.errors import DatasetError, PlanError
from deduplab.units import KIB

# Small enough to stay in the processor's cache between reading and hashing.
_READ_BYTES: Final = 256 * KIB


class FilePieces(RealPayloads):
    """Payload ``id`` is the id-th distinct piece of the source's files.

    Regular files in the order of their names (as bytes; in each folder first
    its files, then its folders; symbolic links in it are left out) are cut into
    pieces of ``object_bytes``. A file's last piece is left out if it is shorter.
    """

    record_type = content_record("files", "application/octet-stream")
    _takes_fixed: ClassVar[bool] = True

    def _index(self) -> None:
        self._index_pieces()

    def _index_pieces(self) -> None:
        for source in self._sources:
            for path in regular_files(source):
                if self._enough:
                    return
                self._index_file(path)

    def _index_file(self, path: bytes) -> None:
        size_bytes = self.spec.object_bytes
        with opened(path) as descriptor:
            file = SourceFile.of(path, descriptor)
            whole_bytes = file.length_bytes // size_bytes * size_bytes
            if not whole_bytes:
                return
            number = self._extents.open(file)
            at_once_bytes = max(1, _READ_BYTES // size_bytes) * size_bytes
            for offset, part in _parts(file, descriptor, whole_bytes, at_once_bytes):
                starts = range(0, len(part), size_bytes)
                ends = range(size_bytes, len(part) + 1, size_bytes)
                self._offer_pieces(number, offset, part, starts, ends)
                if self._enough:
                    break
            file.check(descriptor)

    def _nothing(self) -> str:
        return (
            f"has no regular file of at least {self.spec.object_bytes} bytes (object_bytes); "
            "take smaller objects or another source"
        )


class UserFiles(FilePieces):
    """The user's own data: pieces of fixed length, or with natural sizes whole objects.

    With natural sizes an object is a file of a folder; a member of an archive
    (``.tar``, also compressed); or a record, in canonical JSON, of a Parquet
    file (``.parquet``), a table (``.csv``, ``.tsv``) or JSON lines (``.jsonl``,
    ``.ndjson``, also ``.gz``). Another single file is one object. Empty objects and
    those longer than the whole dataset are left out.
    """

    def _index(self) -> None:
        if self.spec.sizes.kind == "fixed":
            self._index_pieces()
            return
        source = self._sources[0]
        if is_folder(source) or not _opens_up(source):
            for path in regular_files(source):
                if self._enough:
                    return
                self._index_whole(path)
            return
        # A pipe would be waited for.
        refuse_special(source)
        if is_archive(source):
            self._index_archive(source)
        else:
            self._index_records(source)

    def _index_whole(self, path: bytes) -> None:
        with opened(path) as descriptor:
            file = SourceFile.of(path, descriptor)
            length_bytes = file.length_bytes
            if not self._fits(length_bytes, file.name):
                return
            scan = ObjectScan(for_marks=self.spec.vary)
            for _, part in _parts(file, descriptor, length_bytes, _READ_BYTES):
                scan.update(part)
            file.check(descriptor)
            self._offer_scanned(scan, self._extents.open(file), 0)

    def _index_archive(self, path: bytes) -> None:
        with opened(path) as descriptor:
            file = SourceFile.of(path, descriptor)
            number = self._extents.open(file)
            for member in ArchiveMembers(path, descriptor):
                if not self._fits(member.length_bytes, f"{file.name}: {member.name}"):
                    continue
                scan, spool, kept = ObjectScan(for_marks=self.spec.vary), None, 0
                if member.offset is None:
                    spool = self._extents.spool
                    kept = spool.length_bytes
                for part in member.parts():
                    scan.update(part)
                    if spool is not None:
                        spool.append(part)
                if spool is None:
                    assert member.offset is not None
                    self._offer_scanned(scan, number, member.offset)
                elif not self._offer_scanned(scan, SPOOL, kept):
                    spool.cut(kept)
                if self._enough:
                    break
            file.check(descriptor)

    def _index_records(self, path: bytes) -> None:
        if self.spec.vary:
            raise PlanError(
                "records of your own are not varied: an edit would break them; leave vary out, "
                "or cut the file into pieces of fixed length"
            )
        with opened(path) as descriptor:
            file = SourceFile.of(path, descriptor)
            records = open_records(path)
            self.record_type = records.record_type
            for record in records.canonical():
                if self._fits(len(record), file.name):
                    self._offer_data(record)
                if self._enough:
                    break
            file.check_again()

    def _fits(self, length_bytes: int, name: str) -> bool:
        if length_bytes > GREATEST_LENGTH_BYTES:
            raise DatasetError(
                f"source {name!r} has {length_bytes} bytes, an object has at most "
                f"{GREATEST_LENGTH_BYTES}; cut it into pieces: sizes 'fixed'"
            )
        return 0 < length_bytes <= self.spec.logical_bytes

    def _nothing(self) -> str:
        if self.spec.sizes.kind == "fixed":
            return super()._nothing()
        return (
            f"has nothing of 1 to {self.spec.logical_bytes} bytes (the size of the dataset); "
            "take another source or a greater dataset"
        )


def _opens_up(source: bytes) -> bool:
    """Tell whether a single file is taken apart, by the end of its name."""
    return is_archive(source) or os.fsdecode(source).lower().endswith(RECORD_SUFFIXES)


def _parts(
    file: SourceFile, descriptor: int, length_bytes: int, at_once_bytes: int
) -> Iterator[tuple[int, memoryview]]:
    """Yield a file's content from its beginning, part by part, with the offset of each."""
    buffer = memoryview(bytearray(min(at_once_bytes, length_bytes)))
    for offset in range(0, length_bytes, at_once_bytes):
        part = buffer[: min(at_once_bytes, length_bytes - offset)]
        file.fill(descriptor, offset, part)
        yield offset, part
