"""The record of an upload that is not finished: every object that it, or one before, may have put.

It lies beside the objects until they are whole. Whoever goes on with the upload knows by it which
objects are the export's own, and takes away what the run has no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deduplab.errors import StoreError
from deduplab.exports.manifest import Manifest
from deduplab.exports.raw_files import is_of_cell

FILE_NAME: Final = "SHA256SUMS.unfinished"


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """Pairs of a path and the SHA-256 of what was to be put there; a path may have several."""

    objects: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def parse(cls, content: bytes, where: str) -> UploadRecord:
        """Read a record that lies at a target; ``where`` says which in messages.

        Raises
        ------
        StoreError
            If it is none, or names a file outside of its folder.
        """
        lines = content.splitlines()  # one by one, since a path may have several
        found = (Manifest.parse(line, where).checksums.items() for line in lines)
        return cls(frozenset(pair for pairs in found for pair in pairs))

    def also(self, manifest: Manifest) -> UploadRecord:
        """Return the record with all that a manifest lists."""
        return UploadRecord(self.objects | frozenset(manifest.checksums.items()))

    def to_bytes(self) -> bytes:
        """Return the file, in the order of paths."""
        return "".join(f"{digest}  {path}\n" for path, digest in sorted(self.objects)).encode()

    def left_over(self, content: Manifest) -> dict[str, frozenset[str]]:
        """Return the paths that a content has no more, each with what may lie there.

        Raises
        ------
        StoreError
            If that is a result which the content has nowhere: it would be lost.
        """
        here = set(content.checksums.values())
        left: dict[str, frozenset[str]] = {}
        for path, digest in sorted(self.objects):
            if path in content.checksums:
                continue
            if is_of_cell(path) and digest not in here:
                raise StoreError(
                    f"an upload that was cut short has results that are not here ({path}), so it "
                    "is left as it is: name another target"
                )
            left[path] = left.get(path, frozenset()) | {digest}
        return left
