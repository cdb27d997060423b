"""What a server behind the REST contract refuses, and which of our errors that is."""

from __future__ import annotations

import json
from typing import Final

from deduplab.adapters._http_connection import HttpAnswer
from deduplab.adapters._rights import advice
from deduplab.errors import (
    DeduplabError,
    DiskSpaceError,
    LoginRefused,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)

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


def refusal_of(answer: HttpAnswer, success: int) -> Refused:
    """Return what an answer refuses that has another status than the one of success."""
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
