"""The REST contract as a client speaks it: one connection, bodies, and one error table.

The contract is docs/rest-contract.yaml.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Sequence
from itertools import pairwise
from struct import Struct
from typing import Annotated, Final, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from deduplab.adapters._http_connection import HttpAnswer, HttpConnection, HttpError
from deduplab.adapters._login import login_refused
from deduplab.adapters._rights import advice
from deduplab.adapters._tls import Tls, refused
from deduplab.batch import Batch
from deduplab.errors import (
    DeduplabError,
    DiskSpaceError,
    LoginRefused,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.server import Endpoint

BASE_PATH: Final = "base_path"
_CONTRACT: Final = "1"
BULK_TYPE: Final = b"application/vnd.deduplab.objects"
_JSON_TYPE: Final = b"application/json"
_HEAD: Final = Struct(">HI")  # length of the key, length of the payload
_MOST_KEY_BYTES: Final = (1 << 16) - 1

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Told = TypeVar("_Told")

_BY_CODE: Final[dict[str, type[DeduplabError]]] = {
    "database-exists": NamespaceRefused,
    "marker-differs": NamespaceRefused,
    "not-offered": Unsupported,
}
_BY_STATUS: Final[dict[int, type[DeduplabError]]] = {
    401: LoginRefused,
    429: SystemUnavailable,
    501: Unsupported,
    502: SystemUnavailable,
    503: SystemUnavailable,
    504: SystemUnavailable,
    507: DiskSpaceError,
}


class Health(msgspec.Struct):
    """Who answers, and what its settings are."""

    contract: str
    product: str
    version: str
    instance: str
    configuration: dict[str, str]


class Stored(msgspec.Struct):
    """How many objects a bulk request stored."""

    stored: Count


class Deleted(msgspec.Struct):
    """How many objects a request deleted."""

    deleted: Count


class Objects(msgspec.Struct):
    """How many objects a database holds."""

    objects: Count


class Stats(msgspec.Struct):
    """A database's bytes; the components add up to the total."""

    bytes: dict[str, Count]
    total: Count
    at_unix_ns: Count


class Activity(msgspec.Struct):
    """Work under way (all 0 is idle), and cheap counters."""

    busy: dict[str, Count]
    counters: dict[str, int]


class Refused(Exception):
    """An answer that is no success, with its status, code and words."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail

    def translated(self, what: str) -> DeduplabError:
        """Return our error: the one place where refusals are told apart; others are failures."""
        kind = _BY_CODE.get(self.code) or _BY_STATUS.get(self.status, OperationFailed)
        said = f"rest: {what}: the server answered {self.status} {self.code}: {self.detail}"
        return kind(f"{said}; {advice('rest')}" if self.status == 403 else said)


class RestWire:
    """A server behind the contract, over one connection.

    Parameters
    ----------
    endpoint
        Whether the server must prove who it is, its options say (``_tls``);
        ``base_path`` stands before every path of the contract.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        if endpoint.host is None or endpoint.port is None or endpoint.secret is None:
            raise SystemUnavailable("rest needs the host and the port of a server, and a token")
        self._endpoint = endpoint
        self._where = endpoint.address
        tls = Tls.of(endpoint)
        self._host = endpoint.host
        self._base = _base_path(endpoint.options.get(BASE_PATH, ""))
        headers = {"Authorization": f"Bearer {endpoint.secret.reveal()}"}
        self._http = HttpConnection(
            endpoint.host, endpoint.port, tls=tls.context() if tls else None, headers=headers
        )

    def close(self) -> None:
        """Disconnect."""
        self._http.close()

    def send(
        self,
        method: bytes,
        target: bytes,
        body: bytes = b"",
        media_type: bytes = b"",
        *,
        success: int = 200,
    ) -> HttpAnswer:
        """Send a request; return the answer if it is a success.

        Parameters
        ----------
        success
            The one status of the contract that means it: 202, say, is queued and not done.

        Raises
        ------
        Refused
            If it is not.
        SystemUnavailable
            If there is no answer.
        """
        try:
            answer = self._http.request(method, self._base + target, body, media_type)
        except HttpError as error:
            if isinstance(error.__cause__, ssl.SSLError):
                raise refused("rest", self._host, error.__cause__) from error
            raise SystemUnavailable(f"rest: {self._where} does not answer: {error}") from error
        if answer.status == success:
            return answer
        refusal = _refused(answer, success)
        if answer.status == 401:
            raise login_refused("rest", self._endpoint, refusal.detail)
        raise refusal

    def call(
        self,
        what: str,
        method: bytes,
        target: bytes,
        document: object = None,
        *,
        success: int = 204,
    ) -> HttpAnswer:
        """Send a JSON document (None: nothing); return the answer.

        Raises
        ------
        DeduplabError
            If it is refused.
        """
        body = b"" if document is None else json.dumps(document).encode()
        try:
            return self.send(method, target, body, _JSON_TYPE if body else b"", success=success)
        except Refused as refused:
            raise refused.translated(what) from refused

    def ask(
        self,
        kind: type[_Told],
        what: str,
        method: bytes,
        target: bytes,
        document: object = None,
        *,
        success: int = 200,
    ) -> _Told:
        """Send a JSON document (None: nothing); return what is answered.

        Raises
        ------
        DeduplabError
            If it is refused, or the answer is none of the contract's.
        """
        return told(kind, what, self.call(what, method, target, document, success=success))


def _base_path(path: str) -> bytes:
    """Return what stands before every path: nothing, or ``/..`` without a slash at its end.

    Raises
    ------
    SystemUnavailable
        If it can't stand in a request line.
    """
    path = path.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*", path):
        raise SystemUnavailable(
            f"rest: the base_path {path!r} is none: it begins with / and has no spaces, ? or #"
        )
    return path.encode("ascii")


def told(kind: type[_Told], what: str, answer: HttpAnswer) -> _Told:
    """Return what an answer tells.

    Raises
    ------
    OperationFailed
        If it is none of the contract's.
    """
    try:
        if answer.media_type != _JSON_TYPE.decode():
            raise ValueError(f"it is of type {answer.media_type!r}, not {_JSON_TYPE.decode()!r}")
        return msgspec.json.decode(answer.body, type=kind)
    except ValueError as error:  # a MsgspecError of the body is one
        raise OperationFailed(
            f"rest: {what}: the answer is not what the contract asks for: {error}: "
            f"{answer.body[:200]!r}"
        ) from error


def _refused(answer: HttpAnswer, success: int) -> Refused:
    if answer.status < 300:
        return Refused(answer.status, "", f"the contract has {success} here, and no other success")
    if answer.status < 400:
        detail = "redirects are not followed: name the address where it is in the plan"
        return Refused(answer.status, "", detail)
    try:
        told = json.loads(answer.body)
        code, detail = str(told["code"]), str(told["detail"])
    except (ValueError, TypeError, KeyError):
        # A proxy in between does not know the contract.
        code, detail = "", answer.body[:200].decode("utf-8", "replace")
    return Refused(answer.status, code, detail)


def check_contract(health: Health) -> None:
    """Refuse a server of another contract.

    Raises
    ------
    SystemUnavailable
        With the version that it speaks.
    """
    if health.contract.partition(".")[0] != _CONTRACT:
        raise SystemUnavailable(
            f"rest: {health.product} {health.version} speaks version {health.contract} of the "
            f"contract, and this client version {_CONTRACT}"
        )


def database_path(namespace: str) -> bytes:
    """Return the path of a database."""
    return f"/v1/databases/{namespace}".encode("ascii")


def query_of(key: str) -> bytes:
    """Return a key as it stands in a query."""
    return quote(key, safe="").encode("ascii")


def bulk_body(batch: Batch) -> bytes:
    """Return a batch as the body of one bulk request.

    Raises
    ------
    OperationFailed
        If a key is longer than its length can tell.
    """
    return _framed(batch.keys, batch.data, batch.offsets.tolist())


def _framed(keys: Sequence[str], data: memoryview, bounds: Sequence[int]) -> bytes:
    parts: list[bytes | memoryview] = []
    for key, (start, stop) in zip(keys, pairwise(bounds), strict=True):
        name = key.encode("utf-8")
        if len(name) > _MOST_KEY_BYTES:
            raise OperationFailed(
                f"rest: a key of {len(name)} bytes ({key[:32]!r}..) is longer than "
                f"{_MOST_KEY_BYTES}; choose shorter keys"
            )
        parts += (_HEAD.pack(len(name), stop - start), name, data[start:stop])
    return b"".join(parts)
