"""The REST contract as a client speaks it: one connection, bodies, and one error table.

The contract is docs/rest-contract.yaml.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from itertools import pairwise
from struct import Struct
from typing import Annotated, Final, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from deduplab.adapters._http_connection import HttpAnswer, HttpConnection, HttpError
from deduplab.batch import Batch
from deduplab.errors import (
    DeduplabError,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.server import Endpoint

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
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
    401: SystemUnavailable,  # the token is another instance's
    429: SystemUnavailable,
    501: Unsupported,
    502: SystemUnavailable,
    503: SystemUnavailable,
    504: SystemUnavailable,
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
        return kind(f"rest: {what}: the server answered {self.status} {self.code}: {self.detail}")


class RestWire:
    """A server behind the contract, over one connection.

    Parameters
    ----------
    endpoint
        A server that is not on this machine must prove who it is by TLS; the
        option ``ssl_ca`` names a certificate to trust instead of the system's.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        if endpoint.host is None or endpoint.port is None or endpoint.secret is None:
            raise SystemUnavailable("rest needs the host and the port of a server, and a token")
        self._where = f"{endpoint.host}:{endpoint.port}"
        authority = endpoint.options.get("ssl_ca")
        tls = None
        if endpoint.host not in LOOPBACK or authority:
            tls = ssl.create_default_context(cafile=authority)
        headers = {"Authorization": f"Bearer {endpoint.secret.reveal()}"}
        self._http = HttpConnection(endpoint.host, endpoint.port, tls=tls, headers=headers)

    def close(self) -> None:
        """Disconnect."""
        self._http.close()

    def send(
        self, method: bytes, target: bytes, body: bytes = b"", media_type: bytes = b""
    ) -> HttpAnswer:
        """Send a request; return the answer if it is a success.

        Raises
        ------
        Refused
            If it is not.
        SystemUnavailable
            If there is no answer.
        """
        try:
            answer = self._http.request(method, target, body, media_type)
        except HttpError as error:
            raise SystemUnavailable(f"rest: {self._where} does not answer: {error}") from error
        if 200 <= answer.status < 300:
            return answer
        raise _refused(answer)

    def call(self, what: str, method: bytes, target: bytes, document: object = None) -> bytes:
        """Send a JSON document (None: nothing); return the body of the answer.

        Raises
        ------
        DeduplabError
            If it is refused.
        """
        body = b"" if document is None else json.dumps(document).encode()
        try:
            return self.send(method, target, body, _JSON_TYPE if body else b"").body
        except Refused as refused:
            raise refused.translated(what) from refused

    def ask(
        self, kind: type[_Told], what: str, method: bytes, target: bytes, document: object = None
    ) -> _Told:
        """Send a JSON document (None: nothing); return what is answered.

        Raises
        ------
        DeduplabError
            If it is refused, or the answer is none of the contract's.
        """
        return told(kind, what, self.call(what, method, target, document))


def told(kind: type[_Told], what: str, body: bytes) -> _Told:
    """Return what an answer tells.

    Raises
    ------
    OperationFailed
        If it is none of the contract's.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise OperationFailed(
            f"rest: {what}: the answer is not what the contract asks for: {error}: {body[:200]!r}"
        ) from error


def _refused(answer: HttpAnswer) -> Refused:
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
