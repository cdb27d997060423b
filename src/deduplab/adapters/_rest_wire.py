"""The REST contract as a client speaks it: one connection, its requests and their paths.

The contract is docs/rest-contract.yaml.
"""

from __future__ import annotations

import json
import re
import ssl
from typing import Final, TypeVar
from urllib.parse import quote

from deduplab.adapters._http_connection import HttpAnswer, HttpConnection, HttpError
from deduplab.adapters._login import login_refused
from deduplab.adapters._rest_answers import JSON_TYPE, told
from deduplab.adapters._rest_refusal import Refused, refusal_of
from deduplab.adapters._tls import Tls, refused
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint

BASE_PATH: Final = "base_path"
_Told = TypeVar("_Told")


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
        refusal = refusal_of(answer, success)
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
            return self.send(method, target, body, JSON_TYPE if body else b"", success=success)
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


def database_path(namespace: str) -> bytes:
    """Return the path of a database."""
    return f"/v1/databases/{namespace}".encode("ascii")


def query_of(key: str) -> bytes:
    """Return a key as it stands in a query."""
    return quote(key, safe="").encode("ascii")
