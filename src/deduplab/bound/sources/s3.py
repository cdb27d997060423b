"""S3 buckets: an object is an object, in the order of keys.

Small objects are fetched ahead by some threads, so that not every one costs a
round trip; large ones are streamed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Final

from deduplab.bound.sources.address import Address
from deduplab.bound.sources.base import BLOCK_BYTES, ScanSource, driver, words_of
from deduplab.bound.sources.buffer import BlockBuffer
from deduplab.bound.sources.s3_bucket import check_address, open_bucket
from deduplab.bound.stream import Block, Source
from deduplab.errors import SystemUnavailable

_THREADS: Final = 8
_AHEAD: Final = 32
_REQUEST_COST_BYTES: Final = 256 * 1024
"""What a request costs, in bytes that could be read instead: for even shards."""

Key = tuple[str, int]
"""A key, and its object's length when it was listed."""


class S3Source(ScanSource):
    """The objects of a bucket whose keys begin with a prefix.

    Parameters
    ----------
    address
        ``s3://bucket/prefix?endpoint=http://host:port&access_key=NAME&secret=env:NAME``.
        Without ``access_key``, and not ``anonymous=yes``, the client's own ways
        to find credentials are used (``AWS_*`` variables, instance metadata).
    """

    def __init__(self, address: Address) -> None:
        check_address(address)
        super().__init__(address.shown)
        self.address = address
        self._keys: list[Key] | None = None

    def total_bytes(self) -> int | None:
        """Return the bytes of a part that was listed; None for a whole bucket."""
        return None if self._keys is None else sum(length for _, length in self._keys)

    def shards(self, count: int) -> Sequence[Source]:
        """List the bucket, and return parts with neighbouring keys and about equal bytes.

        Raises
        ------
        SystemUnavailable
            If the bucket can't be listed.
        """
        if self._keys is not None:
            return [self]
        keys = list(self._listed(open_bucket(self.address, self.name)))
        target = sum(length + _REQUEST_COST_BYTES for _, length in keys) / max(1, count)
        parts: list[S3Source] = []
        spent = 0.0
        for key in keys:
            cost = key[1] + _REQUEST_COST_BYTES
            if len(parts) < count and spent + cost / 2 >= len(parts) * target:
                part = S3Source(self.address)
                part.name, part._keys = f"{self.name} (part {len(parts) + 1})", []
                parts.append(part)
            part_keys = parts[-1]._keys
            assert part_keys is not None
            part_keys.append(key)
            spent += cost
        return parts or [self]

    def blocks(self) -> Iterator[Block]:
        """Read all objects.

        Raises
        ------
        SystemUnavailable
            If obstore is missing or the bucket can't be listed.
        """
        self.left_out.clear()
        store = open_bucket(self.address, self.name)
        keys = iter(self._keys) if self._keys is not None else self._listed(store)
        buffer = BlockBuffer()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="deduplab-s3") as pool:
            try:
                for key, waiting in _fetched_ahead(pool, store, keys):
                    if key[1] > buffer.room_bytes:
                        yield from buffer.hand_out()
                    yield from self._object(store, key, waiting, buffer)
            finally:
                pool.shutdown(cancel_futures=True)
        yield from buffer.hand_out()

    def _object(
        self, store: Any, key: Key, waiting: Future[Any] | None, buffer: BlockBuffer
    ) -> Iterator[Block]:
        if not key[1]:
            # Nothing to ask for. The client names "folder/", as consoles make it, "folder".
            buffer.close_object()
            return
        exceptions: Any = driver("obstore.exceptions", "s3", self.name)
        reason = ""
        length_bytes = -1
        try:
            if waiting is not None:
                length_bytes, pieces = waiting.result()
            else:
                length_bytes, pieces = _got(store, key[0])
            for piece in pieces:
                yield from buffer.write(memoryview(piece))
        except (exceptions.BaseError, OSError) as error:
            reason = words_of(error)
        if not reason and buffer.open_bytes != length_bytes:
            reason = f"it ended after {buffer.open_bytes} of {length_bytes} bytes"
        if not reason:
            buffer.close_object()
        elif buffer.can_drop:
            buffer.drop_object()
            self.leave_out(key[0], f"can't be read: {reason}; nothing of it is counted")
        else:
            told = f"the {buffer.open_bytes} bytes read until then are counted"
            self.leave_out(key[0], f"can't be read to its end: {reason}; {told}")
            buffer.close_object()

    def _listed(self, store: Any) -> Iterator[Key]:
        obstore: Any = driver("obstore", "s3", self.name)
        exceptions: Any = driver("obstore.exceptions", "s3", self.name)
        begin = self.address.path
        # The client lists what lies below a folder: of others, the keys are compared here.
        folder, last = begin.rpartition("/")[::2]
        after = begin[:-1] if last else ""
        count = 0
        try:
            for page in obstore.list(store, folder or None, offset=after or None, chunk_size=1000):
                for entry in page:
                    if str(entry["path"]).startswith(begin) or not last:
                        yield str(entry["path"]), int(entry["size"])
                        count += 1
        except (exceptions.BaseError, OSError) as error:
            said = f"can't be listed: {words_of(error)}"
            if not count or self._keys is not None:
                raise SystemUnavailable(f"{self.name} {said}") from error
            self.leave_out(self.name, f"{said}; the {count} objects before are counted")


def _fetched_ahead(
    pool: ThreadPoolExecutor, store: Any, keys: Iterator[Key]
) -> Iterator[tuple[Key, Future[Any] | None]]:
    """Yield keys in order, small objects already on their way."""
    ahead: deque[tuple[Key, Future[Any] | None]] = deque()

    def more(count: int) -> None:
        for key in islice(keys, count):
            small = 0 < key[1] <= BLOCK_BYTES
            ahead.append((key, pool.submit(_whole, store, key[0]) if small else None))

    more(_AHEAD)
    while ahead:
        yield ahead.popleft()
        more(1)


def _got(store: Any, key: str) -> tuple[int, Any]:
    obstore: Any = driver("obstore", "s3", "S3")
    result = obstore.get(store, key)
    return int(result.meta["size"]), result.stream(min_chunk_size=BLOCK_BYTES)


def _whole(store: Any, key: str) -> tuple[int, list[Any]]:
    length_bytes, pieces = _got(store, key)
    return length_bytes, list(pieces)
