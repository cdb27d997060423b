"""What the adapters of S3 object stores share: everything that S3 itself has.

One bucket a namespace, ``deduplab-NAMESPACE``, marked by a tag. An object is an
object: its payload, or in the layout native the canonical serialisation with
its content type; its name is the key, unsafe letters percent-encoded. What each
verb issues and what the sizes include is told in docs/systems/minio.md and
docs/systems/seaweedfs.md.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from deduplab.adapter import Variant
from deduplab.adapters._layout import Layout
from deduplab.adapters._marker import Settings, sync_file_system
from deduplab.adapters._per_object import file_name
from deduplab.adapters._s3_wire import DEFAULT_REGION, REGION, Wire, checked_keys
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, OperationFailed, Unsupported
from deduplab.model import Identity
from deduplab.record import Stored
from deduplab.server import Endpoint

if TYPE_CHECKING:
    from obstore.store import S3Store

PREFIX: Final = "deduplab-"
"""What the name of every bucket of ours begins with, so that rights can be limited to it."""

WRITERS: Final = 8
"""Puts of a batch that are under way at once."""

REMOVE_NONCURRENT: Final = "remove-noncurrent"

_LONGEST_BUCKET: Final = 63
_CREATE: Final[Literal["create"]] = "create"
DEFAULT: Final = Variant("default", "the product's own settings")
VERSIONING: Final = Variant("versioning", "deleted objects are kept as old versions")


class S3Adapter(ServerAdapter[Wire, str]):
    """Drives one S3 object store over HTTP; a sub-class says what its product adds."""

    remote_options: ClassVar[Mapping[str, str]] = {
        REGION: f"what requests are signed for; {DEFAULT_REGION} if it is not given"
    }

    def __init__(self) -> None:
        super().__init__()
        self._writers: ThreadPoolExecutor | None = None
        self._objects: S3Store | None = None
        self._variant = self._durability = ""
        self._layout = Layout()
        self._attributes: dict[str, str] = {}

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; enter the namespace again that was left by ``close``, if any."""
        self.close()
        self._connection = wire = Wire(self.product, endpoint)
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix=self.product)
        bucket = None if self._namespace is None else _bucket(self._namespace)
        if bucket is not None and wire.is_ours(bucket):
            self._check_settings(self._variant, self._durability)
            self._objects = wire.objects(bucket)
        else:
            self._namespace = None

    def close(self) -> None:
        """Disconnect; what is there stays."""
        if self._writers is not None:
            self._writers.shutdown()
        super().close()
        self._writers = self._objects = None

    def destroy(self) -> None:
        """Drop the bucket with all versions in it."""
        self._check_owner()
        bucket = self._entered
        if not self._wire.is_ours(bucket):
            raise NamespaceRefused(f"{self.product}: bucket {bucket!r} is gone; nothing is dropped")
        self._wire.drop_bucket(bucket)
        self._namespace = self._objects = None

    def put(self, key: str, payload: Stored) -> None:
        """Put one object by ``PUT`` with ``If-None-Match: *``."""
        if isinstance(payload, tuple) is not self._layout.is_native:
            self._layout.row(payload)  # says what is wrong
        record_type = self._layout.record_type
        content = payload if record_type is None else record_type.canonical(payload)
        assert isinstance(content, bytes)
        store = self._store
        self._changed()
        self._wire.ask(lambda: self._put(store, key, content))

    def put_many(self, batch: Batch) -> int:
        """Put a batch's objects by parallel ``PUT`` of :data:`WRITERS` at once."""
        checked_keys(self.product, batch.keys)
        store, data, keys = self._store, batch.data, batch.keys
        bounds = list(pairwise(batch.offsets.tolist()))
        assert self._writers is not None
        self._changed()

        def write(first: int) -> None:
            for place in range(first, len(keys), WRITERS):
                start, stop = bounds[place]
                self._put(store, keys[place], data[start:stop])

        # All have ended before an error is raised: the buffer is the batch's own.
        under_way = [self._writers.submit(write, first) for first in range(WRITERS)]
        errors = [error for one in under_way if (error := one.exception()) is not None]
        for each in errors:
            self._wire.ask(lambda error=each: _raise(error))  # type: ignore[misc]
        return len(keys)

    def get(self, key: str) -> Stored | None:
        """Get one object by its key; native objects come back as their canonical bytes."""
        import obstore

        store, name = self._store, file_name(key)
        try:
            return self._wire.ask(lambda: bytes(obstore.get(store, name).bytes()))
        except OperationFailed as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these objects by ``DeleteObjects``, 1000 a request.

        S3 acknowledges a key that was not there as well.
        """
        import obstore

        store = self._store
        if keys:
            self._changed()
            self._wire.ask(lambda: obstore.delete(store, list(map(file_name, keys))))
        return len(keys)

    def empty(self, mode: str) -> None:
        """Drop the bucket with all versions, and make it anew with its tag."""
        self._check_owner()
        if mode != "drop":
            raise Unsupported(f"{self.product} can't empty by {mode!r}; it has: drop")
        bucket = self._entered
        self._wire.drop_bucket(bucket)
        self._wire.make_bucket(bucket, versioned=self._is_versioned)
        self._changed()

    def count(self) -> int:
        """Count the objects by listing them, 1000 a request; old versions are not among them."""
        return sum(1 for _ in self._listed())

    def flush(self) -> None:
        """Sync the file system where the data directory is visible here; S3 has no such request."""
        self._entered  # noqa: B018  (refuses where no namespace was entered)
        directory = self._wire.endpoint.directory
        if directory is not None:
            self._wire.ask(lambda: sync_file_system(directory))

    def reclaim(self, mode: str) -> None:
        """Remove all old versions and delete markers for good, as an expiry rule would."""
        if mode not in self.capabilities.reclaim_modes:
            offered = ", ".join(self.capabilities.reclaim_modes)
            raise Unsupported(f"{self.product} has no reclaim {mode!r}; it has: {offered}")
        bucket = self._entered
        if mode == REMOVE_NONCURRENT:
            self._changed()
            found = self._wire.versions(bucket)
            old = (each for each in found if each.is_delete_marker or not _is_latest(each))
            self._wire.remove_versions(bucket, old)

    def entered(self) -> object | None:
        """Return nothing: there is nothing that another process could ask for."""
        return None

    def counters(self) -> Mapping[str, int]:
        """Return nothing: no request of S3 is cheap enough for a trace."""
        return {}

    def identity(self) -> Identity:
        """Return product, version and deployment, and the settings that it tells."""
        found = self._identity()
        if self._namespace is not None:
            found.configuration.update(self._layout.described(), variant=self._variant)
        return found

    def _create(self, settings: Settings) -> None:
        """Make the bucket with its tag, after checking the server's settings; drop an old one."""
        namespace, variant, durability = settings.namespace, settings.variant, settings.durability
        bucket = _bucket(namespace)
        wire = self._wire
        self._check_settings(variant, durability)
        if wire.is_ours(bucket):
            wire.drop_bucket(bucket)
        wire.make_bucket(bucket, versioned=variant == VERSIONING.name)
        self._enter(settings)

    def _join(self, settings: Settings) -> None:
        """Enter the bucket with connections of its own, after checking the server's settings."""
        self._check_settings(settings.variant, settings.durability)
        if not self._wire.is_ours(_bucket(settings.namespace)):
            raise self._gone(settings.namespace)
        self._enter(settings)

    def look_again(self) -> None:
        """Take note that objects have come or gone."""
        self._changed()

    def _enter(self, settings: Settings) -> None:
        self._namespace, self._variant = settings.namespace, settings.variant
        self._durability, self._layout = settings.durability, settings.layout
        record_type = self._layout.record_type
        content_type = record_type.content_type if record_type else ""
        self._attributes = {"Content-Type": content_type} if content_type else {}
        self._objects = self._wire.objects(self._entered)
        self._changed()

    @abstractmethod
    def _identity(self) -> Identity:
        """Return who the server is; its configuration is a dictionary of its own."""

    def _check_settings(self, variant: str, durability: str) -> None:
        """Refuse a server that is set otherwise, where the product tells."""

    def _changed(self) -> None:
        """Note that objects come or go."""

    @property
    def _entered(self) -> str:
        """The bucket that was entered."""
        return _bucket(super()._entered)

    @property
    def _store(self) -> S3Store:
        if self._objects is None:
            raise OperationFailed(f"{self.product}: no namespace was entered; call create() first")
        return self._objects

    @property
    def _is_versioned(self) -> bool:
        return self._variant == VERSIONING.name

    def _put(self, store: S3Store, key: str, content: bytes | memoryview) -> None:
        import obstore

        name = file_name(key)
        obstore.put(
            store, name, content, attributes=self._attributes, mode=_CREATE, use_multipart=False
        )

    def _listed(self) -> Iterator[Any]:
        """Yield what a listing tells of each visible object."""
        pages = iter(self._store.list(chunk_size=1000))
        while (page := self._wire.ask(lambda: next(pages, None))) is not None:
            yield from page


def _bucket(namespace: str) -> str:
    """Return the name of a namespace's bucket.

    Raises
    ------
    NamespaceRefused
        If S3 allows no such name.
    """
    bucket = PREFIX + namespace
    if len(bucket) > _LONGEST_BUCKET or "_" in bucket or bucket.endswith("-"):
        raise NamespaceRefused(
            f"namespace {namespace!r} gives the bucket {bucket!r}, which S3 does not allow: at "
            f"most {_LONGEST_BUCKET} of a-z, 0-9 and -, the last a letter or a digit"
        )
    return bucket


def _is_latest(version: Any) -> bool:
    """Whether a version is the current one, as the listing tells (``true`` as text or not)."""
    return str(version.is_latest).lower() == "true"


def _raise(error: BaseException) -> None:
    raise error
