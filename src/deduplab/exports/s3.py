"""An S3 bucket as a target: an object a file, read back after it was written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Final, TypeVar

from deduplab.bound.sources.address import Address
from deduplab.bound.sources.base import driver
from deduplab.bound.sources.s3_bucket import check_address, open_bucket
from deduplab.errors import (
    DeduplabError,
    LoginRefused,
    StoreError,
    StoreFull,
    SystemUnavailable,
)
from deduplab.exports.content import Content
from deduplab.exports.manifest import FILE_NAME, HEADER, Manifest
from deduplab.exports.target import CHUNK_BYTES, StoredFile, Target
from deduplab.exports.upload_record import FILE_NAME as RECORD
from deduplab.exports.upload_record import UploadRecord

_FIRST: Final = HEADER  # so that it is known whose files lie there if the export is cut short
_THREADS: Final = 8  # so that not each of many small files costs a round trip
_LOGIN: Final = re.compile(
    "InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|status code: 40[13]|UnauthorizedAccess"
)
_ANSWER: Final = re.compile(r"<Code>(\w+)</Code>.*?<Message>([^<]*)</Message>", re.DOTALL)
_FULL: Final = re.compile("XMinioStorageFull|status code: 507")
_AWAY: Final = re.compile(
    r"error sending request|request or response body error|timed out|status code: 50\d"
)

_Answer = TypeVar("_Answer")


class S3Target(Target):
    """The objects of a bucket below a prefix: ``prefix/run/file``.

    Parameters
    ----------
    address
        ``s3://bucket/prefix?endpoint=http://host:port&access_key=NAME&secret=env:NAME``,
        as a scan takes it.
    """

    def __init__(self, address: Address) -> None:
        check_address(address)
        self._address = address
        endpoint = address.options.get("endpoint")
        self.shown = address.shown.rstrip("/") + (f" at {_bare(endpoint)}" if endpoint else "")
        self._prefix = f"{address.path.strip('/')}/" if address.path.strip("/") else ""
        self._opened: Any = None

    def manifest(self, name: str) -> Manifest | None:
        """Read the manifest below a run's prefix.

        Files without one, or with the record of an upload, are what an export left that was cut
        short: it does not count.
        """
        return None if self._unfinished(name) else self._finished(name)

    def write(self, content: Content) -> None:
        """Put every file, and the manifest last; one that is there goes before the others.

        What an earlier export, finished or not, put and the run has no more is deleted in the end;
        nothing else is.
        """
        earlier, unfinished = self._finished(content.name), self._unfinished(content.name)
        if earlier is None or unfinished is not None:
            self._refuse_others(content)
        record = (unfinished or UploadRecord()).also(content.manifest)
        record = record.also(earlier) if earlier else record
        left_over = record.left_over(content.manifest)

        def put(path: str) -> None:
            with content.files[path].open("rb") as file:
                self._put(self._key(content.name, path), file)

        put(_FIRST)
        self._put(self._key(content.name, RECORD), record.to_bytes())
        if earlier is not None:
            self._delete([self._key(content.name, FILE_NAME)])
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="deduplab-export") as pool:
            try:
                for _ in pool.map(put, sorted(content.files.keys() - {_FIRST})):
                    pass
            finally:
                pool.shutdown(cancel_futures=True)
        self._put(self._key(content.name, FILE_NAME), content.manifest.to_bytes())
        self._delete(self._ours(content.name, left_over))
        self._delete([self._key(content.name, RECORD)])

    def read(self, name: str) -> Iterator[StoredFile]:
        """Yield the objects below a run's prefix; some small ones are fetched at a time."""
        folder = self._key(name, "")
        listed = self._listed(folder)
        small = sorted(key for key, length_bytes in listed.items() if length_bytes <= CHUNK_BYTES)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="deduplab-export") as pool:
            for begin in range(0, len(small), _THREADS):
                keys = small[begin : begin + _THREADS]
                for key, content in zip(keys, pool.map(self._whole, keys), strict=True):
                    yield key.removeprefix(folder), content
        for key in sorted(listed.keys() - set(small)):
            yield key.removeprefix(folder), self._got(key)

    def _finished(self, name: str) -> Manifest | None:
        content = self._content(f"{name}/{FILE_NAME}")
        where = f"{self.shown}: {name}/{FILE_NAME}"
        return None if content is None else Manifest.parse(content, where)

    def _unfinished(self, name: str) -> UploadRecord | None:
        content = self._content(f"{name}/{RECORD}")
        where = f"{self.shown}: {name}/{RECORD}"
        return None if content is None else UploadRecord.parse(content, where)

    def _ours(self, name: str, left_over: Mapping[str, Collection[str]]) -> list[str]:
        """Return the keys of left objects whose bytes an export put; others' are left alone."""
        listed = self._listed(self._key(name, ""))
        found = []
        for path, digests in left_over.items():
            key = self._key(name, path)
            if key not in listed:
                continue
            digest = hashlib.sha256()
            for piece in self._got(key):
                digest.update(piece)
            if digest.hexdigest() in digests:
                found.append(key)
        return found

    def _refuse_others(self, content: Content) -> None:
        """Refuse a prefix with files that are not of this run's unfinished export."""
        if not self._listed(self._key(content.name, "")):
            return
        header = self._content(f"{content.name}/{HEADER}")
        if header is None or header != content.files[HEADER].read_bytes():
            raise StoreError(
                f"{self.shown}: files lie below {content.name}/ that are no export of this run; "
                "they are left as they are; name another prefix"
            )

    def _key(self, name: str, path: str) -> str:
        return f"{self._prefix}{name}/{path}"

    def _put(self, key: str, content: IO[bytes] | bytes) -> None:
        self._ask(lambda api, store: api.put(store, key, content))

    def _delete(self, keys: list[str]) -> None:
        if keys:
            self._ask(lambda api, store: api.delete(store, keys))

    def _listed(self, folder: str) -> dict[str, int]:
        """Return the keys below a folder, and how many bytes each has."""

        def listed(api: Any, store: Any) -> dict[str, int]:
            pages = api.list(store, folder, chunk_size=1000)
            return {str(entry["path"]): int(entry["size"]) for page in pages for entry in page}

        return self._ask(listed)

    def _content(self, path: str) -> bytes | None:
        """Return an object's bytes; None if there is none."""
        exceptions: Any = driver("obstore.exceptions", "s3", self.shown)

        def got(api: Any, store: Any) -> bytes | None:
            try:
                return bytes(api.get(store, self._prefix + path).bytes())
            except (exceptions.NotFoundError, FileNotFoundError) as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

        return self._ask(got)

    def _whole(self, key: str) -> list[bytes]:
        return list(self._got(key))

    def _got(self, key: str) -> Iterable[bytes]:
        stream = self._ask(lambda api, store: api.get(store, key).stream(CHUNK_BYTES))
        pieces = iter(stream)
        while piece := self._ask(lambda api, store: next(pieces, b"")):
            yield bytes(piece)

    def _ask(self, request: Callable[[Any, Any], _Answer]) -> _Answer:
        """Ask the server; translate what the client raises."""
        api: Any = driver("obstore", "s3", self.shown)
        exceptions: Any = driver("obstore.exceptions", "s3", self.shown)
        if self._opened is None:
            self._opened = open_bucket(self._address, self.shown)
        try:
            return request(api, self._opened)
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise _translated(error, self.shown) from error


def _translated(error: Exception, shown: str) -> DeduplabError:
    said = str(error).split("\n\nDebug source")[0]
    code = _ANSWER.search(said)
    words = f"{shown}: {f'{code[1]}: {code[2]}' if code else ' '.join(said.split())[:300]}"
    if _LOGIN.search(said):
        return LoginRefused(
            f"{words.rstrip('.')}; check access_key, the secret, and what that user may do"
        )
    if "NoSuchBucket" in said:
        return StoreError(f"{words}; make the bucket, deduplab makes none that it is to export to")
    if _FULL.search(said):
        return StoreFull(f"{words}; free some space on the server's disk")
    if _AWAY.search(said):
        return SystemUnavailable(f"{words}; check the endpoint, and export again")
    return StoreError(words)


def _bare(endpoint: str) -> str:
    """Return an endpoint without what stands before an @: it may be a login."""
    scheme, _, rest = endpoint.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
