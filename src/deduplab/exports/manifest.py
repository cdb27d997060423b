"""The manifest of an export: the SHA-256 of each of its files, as ``sha256sum -c`` reads it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from deduplab.errors import StoreError

FILE_NAME: Final = "SHA256SUMS"
"""What it is called; written last, so that an export that has it is whole."""

HEADER: Final = "run.json"
"""The file that tells one run from another."""

_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The SHA-256 in hexadecimal of each file, by its path below the export's folder."""

    checksums: Mapping[str, str]

    @classmethod
    def parse(cls, content: bytes, where: str) -> Manifest:
        """Read a manifest that lies at a target; ``where`` says which in messages.

        Raises
        ------
        StoreError
            If it is none, or names a file outside of its folder.
        """
        checksums: dict[str, str] = {}
        for line in content.decode("utf-8", "replace").splitlines():
            match = _LINE.fullmatch(line)
            if match is None:
                raise StoreError(f"{where} is not a list of checksums, at {line[:80]!r}")
            path = PurePosixPath(match[2])
            if path.is_absolute() or ".." in path.parts:
                raise StoreError(f"{where} names a file outside of its folder: {match[2]!r}")
            checksums[match[2]] = match[1]
        return cls(checksums)

    def to_bytes(self) -> bytes:
        """Return the file, in the order of paths."""
        lines = (f"{checksum}  {path}\n" for path, checksum in sorted(self.checksums.items()))
        return "".join(lines).encode()

    @property
    def digest(self) -> str:
        """The SHA-256 of the file itself: it stands for the whole export."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def only(self, wanted: Callable[[str], bool]) -> Manifest:
        """Return the part whose paths are wanted."""
        return Manifest({path: sum_ for path, sum_ in self.checksums.items() if wanted(path)})

    def differences(self, found: Manifest) -> list[str]:
        """Say file by file how what was found differs from this; nothing if it does not."""
        return [
            *(f"{path} is missing" for path in sorted(self.checksums.keys() - found.checksums)),
            *(f"{path} is too many" for path in sorted(found.checksums.keys() - self.checksums)),
            *(
                f"{path} has other bytes"
                for path in sorted(self.checksums.keys() & found.checksums.keys())
                if self.checksums[path] != found.checksums[path]
            ),
        ]
