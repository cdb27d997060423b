"""What the two clients of an S3 server raise, told apart and worded as ours."""

from __future__ import annotations

import re
from typing import Final

from deduplab.adapters._login import login_refused
from deduplab.adapters._rights import advice
from deduplab.adapters._tls import refused
from deduplab.errors import (
    DeduplabError,
    DiskSpaceError,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
)
from deduplab.server import Endpoint

_MAY_PASS: Final = frozenset(
    {"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown"}
    | {"XMinioServerNotInitialized", "XMinioBackendDown"}
)
"""Error codes of S3 after which a fresh instance may do better."""

_WRONG_LOGIN: Final = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"}
)
"""Error codes of a user or secret (or region) that the server does not take."""

_BROKEN: Final = ("error sending request", "request or response body error", "timed out")
"""What obstore says where no answer came."""

_BUSY: Final = re.compile(r"status code: 50[0234]\b")
"""What obstore says where the server may do better; 507 (no space left) is not among them."""

_DISK_FULL: Final = "XMinioStorageFull"


def translated(error: Exception, product: str, address: str) -> DeduplabError | None:
    """Return ours for an error of a client; None if it is none of theirs."""
    from minio.error import MinioException, S3Error
    from obstore.exceptions import BaseError, PermissionDeniedError
    from urllib3.exceptions import HTTPError

    if isinstance(error, S3Error):
        if error.code == "NoSuchTagSet":
            return without_tag(product, error.bucket_name)
        if error.code == _DISK_FULL:
            return _disk_full(product, error.message)
        kind = SystemUnavailable if error.code in _MAY_PASS else OperationFailed
        said = f"{product}: {error.code}: {error.message}"
        if error.code == "AccessDenied":
            said += f"; {advice(product)}"
        return kind(said)
    if isinstance(error, HTTPError):
        return SystemUnavailable(f"{product} at {address}: {error}")
    if isinstance(error, MinioException):
        return OperationFailed(f"{product}: {error}")
    if isinstance(error, BaseError | OSError | ValueError):
        said = " ".join(str(error).split("\n\nDebug source")[0].split())[:500]
        if _DISK_FULL in said or "status code: 507" in said:
            return _disk_full(product, said)
        passing = any(words in said for words in _BROKEN) or _BUSY.search(said)
        if isinstance(error, PermissionDeniedError) or "code: AccessDenied" in said:
            said += f"; {advice(product)}"
        kind = SystemUnavailable if passing else OperationFailed
        return kind(f"{product}: {said}")
    return None


def not_open(
    error: Exception, product: str, endpoint: Endpoint, *, secure: bool
) -> DeduplabError | None:
    """Return ours for the error of a login; None if it is none of the clients'."""
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError, SSLError

    address = endpoint.address
    where = f"{product} at {address}"
    if isinstance(error, S3Error) and error.code in _WRONG_LOGIN:
        return login_refused(product, endpoint, f"{error.code}: {error.message}")
    if isinstance(error, SSLError):
        said = error.args[0] if error.args and isinstance(error.args[0], OSError) else error
        return refused(product, endpoint.host, said)
    if isinstance(error, HTTPError):
        return SystemUnavailable(f"{where} can't be reached: {error}; check host and port")
    if isinstance(error, MinioException) and not isinstance(error, S3Error):
        return SystemUnavailable(
            f"{where} does not answer as an S3 server by http{'s' * secure}: {error}; "
            "check port and tls"
        )
    return translated(error, product, address)


def without_tag(product: str, bucket: str | None) -> NamespaceRefused:
    """Return the error of a bucket that is not ours."""
    return NamespaceRefused(
        f"{product}: bucket {bucket!r} exists without our tag; it is neither used nor dropped"
    )


def _disk_full(product: str, said: object) -> DiskSpaceError:
    return DiskSpaceError(f"{product}: the server's disk is full; free some of it: {said}")
