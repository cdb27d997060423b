"""The folder that holds a run's files for a paper: only what we wrote there is ever replaced.

``SHA256SUMS`` beside the files says what that is, as ``sha256sum --check`` reads it. A file that
was there before, or was edited since, is left as it is, and nothing is written.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from deduplab.errors import PlanError, unwritten

SUMS: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9./-]*)")


def write_folder(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by their paths below a directory, and take away what an earlier call wrote.

    Raises
    ------
    PlanError
        If a file is in the way that we did not write, or that was changed since.
    StoreError
        If it can't be written.
    """
    sums = {path: _sum(content) for path, content in sorted(files.items())}
    try:
        before = _written_before(directory)
        for path in sorted({*before, *sums}):
            _require_ours(directory / path, {before.get(path), sums.get(path)})
        for path, content in files.items():
            _replace(directory / path, content)
        for path in sorted({*before} - {*sums}):
            (directory / path).unlink(missing_ok=True)
            with suppress(OSError):  # something else lies there
                (directory / path).parent.rmdir()
        listed = "".join(f"{digest}  {path}\n" for path, digest in sums.items())
        _replace(directory / SUMS, listed.encode("ascii"))
    except OSError as error:
        raise unwritten(f"the files for LaTeX can't be written to {directory}", error) from error


def _written_before(directory: Path) -> dict[str, str]:
    """Return the checksums of what an earlier call wrote; nothing that points outside counts."""
    try:
        text = (directory / SUMS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {match[2]: match[1] for match in found if match and ".." not in match[2]}


def _require_ours(path: Path, known: set[str | None]) -> None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    if _sum(content) not in known:
        raise PlanError(
            f"{path} was not written by deduplab, or was changed since, and is left as it is; "
            "move it away or name another directory (a text that should stay yours belongs "
            "beside the directory, and takes its files by \\input)"
        )


def _replace(path: Path, content: bytes) -> None:
    """Write a file aside and rename it, so that there is never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
