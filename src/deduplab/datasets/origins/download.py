"""A download over HTTP: resumed where it was cut, with a deadline on every wait.

Proxies are those of the environment (``https_proxy``, ``no_proxy``, ...), as
``urllib`` reads them.
"""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from email.message import Message
from io import FileIO
from pathlib import Path
from typing import Final

from deduplab.datasets.origins.origin import Progress
from deduplab.errors import DatasetError

_AT_ONCE_BYTES: Final = 256 * 1024
_ATTEMPTS: Final = 5
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)$")
_PARTIAL: Final = 206
_RANGE_REFUSED: Final = 416


class CacheUnusable(DatasetError):
    """The cache can't take a file now, whatever origin it is from."""


class Unreachable(DatasetError):
    """The address can't be reached, does not answer in time, or has no such file."""


def download(
    address: str,
    part: Path,
    progress: Progress,
    *,
    stall_s: float = 30.0,
    deadline_s: float = 4 * 3600.0,
) -> None:
    """Obtain what lies at an address, going on with what an earlier call left in ``part``.

    A part is gone on with only if the server says that its file is still the
    one that was begun (``If-Range``, RFC 9110 section 13.1.5), else it is begun
    anew. A connection that is cut is opened again, up to five times without a
    byte in between. The caller verifies the content.

    Parameters
    ----------
    address
        An ``http`` or ``https`` address.
    part
        Where the bytes go; beside it lies ``PART.validator`` until they are complete.
    stall_s
        Longest wait for the next bytes, in seconds.
    deadline_s
        Longest time for the whole, in seconds.

    Raises
    ------
    Unreachable
        With the reason; what was obtained stays in ``part`` for the next call.
    """
    if not address.startswith(("https://", "http://")):
        raise DatasetError(f"not an address of the web: {address!r}")
    ends_at = time.monotonic() + deadline_s
    attempts = 0
    while True:
        before_bytes = part.stat().st_size if part.exists() else 0
        try:
            _Transfer(address, part, progress, stall_s, ends_at).run(before_bytes)
            _validator_file(part).unlink(missing_ok=True)
            return
        except urllib.error.HTTPError as error:
            with error:
                if error.code != _RANGE_REFUSED or not before_bytes:
                    raise Unreachable(f"{address} answers {error.code} {error.reason}") from error
            part.unlink()
            continue
        except TimeoutError as error:
            raise Unreachable(f"{address}: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            why: Exception = error
        grown = part.exists() and part.stat().st_size > before_bytes
        attempts = 0 if grown else attempts + 1
        if attempts == _ATTEMPTS or (isinstance(why, urllib.error.URLError) and not grown):
            raise Unreachable(f"{address} can't be reached: {_reason(why)}") from why


class _Transfer:
    """One connection: a whole file, or the rest of one."""

    def __init__(
        self, address: str, part: Path, progress: Progress, stall_s: float, ends_at: float
    ) -> None:
        self._address = address
        self._part = part
        self._progress = progress
        self._stall_s = stall_s
        self._ends_at = ends_at

    def run(self, have_bytes: int) -> None:
        request = urllib.request.Request(self._address)  # noqa: S310  (http and https only)
        request.add_header("User-Agent", "deduplab")
        request.add_header("Accept-Encoding", "identity")
        validator = _validator_file(self._part)
        if have_bytes and validator.exists():
            request.add_header("Range", f"bytes={have_bytes}-")
            request.add_header("If-Range", validator.read_text("ascii"))
        try:
            # An opener of its own, since the shared one knows only the proxies of its first use.
            answer = urllib.request.build_opener().open(request, timeout=self._stall_s)
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._too_slow() from error
            raise
        with answer:
            start, total_bytes = _extent(answer.status, answer.headers, have_bytes)
            if start == 0:
                _remember(validator, answer.headers)
            # Unbuffered, so that a full disk shows at once, and not when the file is closed.
            with self._part.open("r+b" if start else "wb", buffering=0) as file:
                file.seek(start)
                self._copy(answer, file, start, total_bytes)

    def _copy(
        self,
        answer: http.client.HTTPResponse,
        file: FileIO,
        done_bytes: int,
        total_bytes: int | None,
    ) -> None:
        self._progress(done_bytes, total_bytes)
        while block := self._next(answer):
            self._write(file, block)
            done_bytes += len(block)
            self._progress(done_bytes, total_bytes)
            if time.monotonic() > self._ends_at:
                raise TimeoutError("took longer than its deadline; start again, and it goes on")
        os.fsync(file.fileno())
        if total_bytes is not None and done_bytes < total_bytes:
            raise ConnectionError(f"cut after {done_bytes} of {total_bytes} bytes")

    def _write(self, file: FileIO, block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            raise CacheUnusable(f"{self._part} can't be written: {error.strerror}") from error

    def _next(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.read1(_AT_ONCE_BYTES)
        except TimeoutError as error:
            raise self._too_slow() from error

    def _too_slow(self) -> TimeoutError:
        return TimeoutError(f"nothing came for {self._stall_s:g} s; start again, and it goes on")


def _extent(status: int, headers: Message, have_bytes: int) -> tuple[int, int | None]:
    """Return where the answer's first byte belongs, and how long the whole file is."""
    if status == _PARTIAL:
        found = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have_bytes:
            raise http.client.HTTPException("the server sends another range than was asked for")
        return have_bytes, None if found[2] == "*" else int(found[2])
    length = headers.get("Content-Length")
    return 0, int(length) if length and length.isdigit() else None


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".validator")


def _remember(file: Path, headers: Message) -> None:
    """Keep what tells this version of the file from others: a strong tag, else its date."""
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    if validator and validator.isascii():
        file.write_text(validator, "ascii")
    else:
        file.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(cause) or type(cause).__name__
