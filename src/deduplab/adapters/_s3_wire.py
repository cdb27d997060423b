"""The connection to an S3 object store: one client for buckets, one for objects.

Objects travel by ``obstore`` (Rust; one HTTP connection pool without the
interpreter's lock), buckets, tags and versions by ``minio``, the vendor's own
client. Neither repeats a failed request: whether to try again is not an
adapter's decision.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from deduplab.adapters._rights import advice
from deduplab.adapters._s3_errors import not_open, translated, without_tag
from deduplab.adapters._tls import Tls
from deduplab.errors import DeduplabError, OperationFailed, SystemUnavailable
from deduplab.registry import driver_missing, system
from deduplab.server import Endpoint

if TYPE_CHECKING:
    import urllib3
    from minio import Minio
    from obstore.store import ClientConfig, S3Store

REGION: Final = "region"
"""The option of a remote address; else it is the default, as self-hosted products have it."""
DEFAULT_REGION: Final = "us-east-1"
TIMEOUT_S: Final = 120.0
CONNECT_S: Final = 10.0

_MARKER: Final = ("deduplab", "namespace dropped with everything in it")
"""Key and value of the tag of a bucket of ours."""

_Result = TypeVar("_Result")


class Wire:
    """One S3 server, for one user.

    Parameters
    ----------
    product
        For messages.
    endpoint
        Whether the server must prove who it is, its options say (``_tls``), and the
        region that requests are signed for.

    Raises
    ------
    SystemUnavailable
        If nobody answers, the server does not prove who it is, or the login is refused.
    OperationFailed
        If the user may not list buckets.
    """

    def __init__(self, product: str, endpoint: Endpoint) -> None:
        if endpoint.host is None or endpoint.secret is None:
            raise SystemUnavailable(f"{product}: an address, a user and a secret are needed")
        try:
            import obstore  # noqa: F401  (objects travel by it; say so now, not later)
            import urllib3
            from minio import Minio
        except ImportError as error:
            raise driver_missing(system(product), error) from error
        self.product = product
        self.endpoint = endpoint
        self.tls = Tls.of(endpoint)
        self.secure = self.tls is not None
        self.address = endpoint.address
        self.region = endpoint.options.get(REGION, DEFAULT_REGION)
        self.http: urllib3.PoolManager = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_S, read=TIMEOUT_S),
            retries=False,
            maxsize=4,
            ssl_context=(self.tls or Tls()).context(),
        )
        self.buckets: Minio = Minio(
            self.address,
            endpoint.user,
            endpoint.secret.reveal(),
            secure=self.secure,
            region=self.region,
            http_client=self.http,
        )
        try:
            self.buckets.list_buckets()
        except Exception as error:
            self.http.clear()
            ours = not_open(error, product, endpoint, secure=self.secure)
            if ours is None:
                raise
            raise ours from error

    def close(self) -> None:
        """Close the connections of both clients."""
        self.http.clear()

    def objects(self, bucket: str) -> S3Store:
        """Return the client for the objects of one bucket.

        Payloads are not hashed for the signature: TCP's checksum and the length
        are what HTTP gives, and the bench reads back what it stored.
        """
        from obstore.store import S3Store

        assert self.endpoint.secret is not None
        trusted: ClientConfig = {}
        if self.tls is not None and self.tls.authority is not None:
            certificates = Path(self.tls.authority).read_bytes()
            trusted = {
                "root_certificate": certificates,
                "disable_system_certificates": True,  # type: ignore[typeddict-unknown-key]
            }
        return S3Store(
            bucket,
            endpoint=f"http{'s' if self.secure else ''}://{self.address}",
            region=self.region,
            access_key_id=self.endpoint.user,
            secret_access_key=self.endpoint.secret.reveal(),
            unsigned_payload=True,
            client_options={
                "allow_http": not self.secure,
                "timeout": f"{TIMEOUT_S:g}s",
                "connect_timeout": f"{CONNECT_S:g}s",
                **trusted,
            },
            retry_config={"max_retries": 0},
        )

    def is_ours(self, bucket: str) -> bool:
        """Whether the bucket is there with our tag.

        Raises
        ------
        NamespaceRefused
            If it is there without it.
        """
        if not self.ask(lambda: self.buckets.bucket_exists(bucket)):
            return False
        tags = self.ask(lambda: self.buckets.get_bucket_tags(bucket))
        if tags is None or tags.get(_MARKER[0]) != _MARKER[1]:
            raise without_tag(self.product, bucket)
        return True

    def make_bucket(self, bucket: str, *, versioned: bool) -> None:
        """Make an empty bucket of ours."""
        from minio.commonconfig import ENABLED, Tags
        from minio.versioningconfig import VersioningConfig

        tags = Tags.new_bucket_tags()
        tags[_MARKER[0]] = _MARKER[1]
        self.ask(lambda: self.buckets.make_bucket(bucket))
        try:
            self.ask(lambda: self.buckets.set_bucket_tags(bucket, tags))
            if versioned:
                config = VersioningConfig(ENABLED)
                self.ask(lambda: self.buckets.set_bucket_versioning(bucket, config))
        except DeduplabError:
            # It is empty and we made it just now; without its tag it would never be dropped.
            with contextlib.suppress(DeduplabError):
                self.ask(lambda: self.buckets.remove_bucket(bucket))
            raise

    def drop_bucket(self, bucket: str) -> None:
        """Remove a bucket; where the server wants it empty, all versions in it before."""
        from minio.error import S3Error

        try:
            self.ask(lambda: self.buckets.remove_bucket(bucket))
        except OperationFailed as error:
            cause = error.__cause__
            if not isinstance(cause, S3Error) or cause.code != "BucketNotEmpty":
                raise
            self.remove_versions(bucket, self.versions(bucket))
            self.ask(lambda: self.buckets.remove_bucket(bucket))

    def versions(self, bucket: str) -> Iterator[Any]:
        """Yield all versions of all objects, and delete markers, as ``minio`` describes them."""
        listed = self.buckets.list_objects(bucket, recursive=True, include_version=True)
        while (found := self.ask(lambda: next(listed, None))) is not None:
            yield found

    def remove_versions(self, bucket: str, versions: Iterable[Any]) -> int:
        """Remove these versions for good, by ``DeleteObjects`` of 1000 each; return how many."""
        from minio.deleteobjects import DeleteObject

        count = 0

        def named() -> Iterator[DeleteObject]:
            nonlocal count
            for version in versions:
                count += 1
                yield DeleteObject(version.object_name, version.version_id)

        failed = self.ask(lambda: list(self.buckets.remove_objects(bucket, named())))
        if failed:
            denied = f"; {advice(self.product)}" if failed[0].code == "AccessDenied" else ""
            raise OperationFailed(
                f"{self.product}: {len(failed)} of {count} deletions failed; "
                f"the first: {failed[0].code} {failed[0].message}{denied}"
            )
        return count

    def get_json(self, url: str) -> Any:
        """Return what an address of the product's own answers; no credential is sent.

        Raises
        ------
        SystemUnavailable, OperationFailed
            If there is no answer, or it is none of success.
        """
        answer = self.ask(lambda: self.http.request("GET", url))
        if answer.status != 200:
            raise OperationFailed(f"{self.product}: {url} answers with status {answer.status}")
        return answer.json()

    def ask(self, request: Callable[[], _Result]) -> _Result:
        """Run a request of either client; translate its errors."""
        try:
            return request()
        except DeduplabError:
            raise
        except Exception as error:
            ours = translated(error, self.product, self.address)
            if ours is None:
                raise
            raise ours from error


def checked_keys(product: str, keys: Sequence[str]) -> None:
    """Refuse a batch with a key twice: its puts run beside each other, and one would win."""
    if len(set(keys)) != len(keys):
        raise OperationFailed(f"{product}: a key is in the batch twice; nothing was stored")
