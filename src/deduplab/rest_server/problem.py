"""What the server answers when it refuses or fails: a status, a code, and words."""

from __future__ import annotations


class Problem(Exception):
    """An error that a client is told of, as ``application/problem+json`` (RFC 9457).

    Parameters
    ----------
    status
        HTTP status.
    code
        What it is, for programs, as the contract lists them.
    detail
        What is wrong and what to do, for people.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail

    def document(self) -> dict[str, object]:
        """Return the body of the answer."""
        return {"status": self.status, "code": self.code, "detail": self.detail}


def malformed(detail: str) -> Problem:
    """Return the problem of a request that can't be understood."""
    return Problem(400, "malformed", detail)
