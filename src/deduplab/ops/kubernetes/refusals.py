"""What an API server refuses, put into words, each kind with its exit code.

The server answers with a Status object (Kubernetes API conventions, "Error codes"):
its message says what it was, in words that are for people.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from deduplab.errors import (
    DeduplabError,
    LoginRefused,
    OperationFailed,
    PlanError,
    SystemRefused,
    SystemUnavailable,
)
from deduplab.ops.kubernetes.kinds import Kind

_MOST_LETTERS: Final = 240


@dataclass(frozen=True, slots=True)
class Asked:
    """What the server was asked for: a verb as a Role names it, and on what."""

    verb: str
    kind: Kind
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        place = f" in namespace {self.namespace!r}" if self.kind.namespaced else ""
        what = f"{self.kind.name} {self.name!r}" if self.name else self.kind.plural
        return f"to {self.verb} {what}{place}"


class Conflict(OperationFailed):
    """An object is not any more what it was when it was looked at."""


def refusal(status: int, answer: bytes, asked: Asked) -> DeduplabError:
    """Return the error for an answer with a status of 400 and above."""
    said = _message(answer)
    if status == 401:
        return LoginRefused(
            f"the API server does not take our login ({said}); see the user of this context in "
            "the kubeconfig, and log in anew"
        )
    if status == 403:
        return SystemRefused(
            f"not allowed {asked}: {said}; the rights that are needed are printed by: "
            "deduplab ops kubernetes render --role"
        )
    if status == 404:
        return PlanError(f"asked {asked}: {said}; see --namespace and --context")
    if status == 409:
        return Conflict(f"asked {asked}: {said}")
    if status in (429, 502, 503, 504):
        return SystemUnavailable(f"asked {asked}: the API server can't now ({status}: {said})")
    return OperationFailed(f"asked {asked}: refused ({status}): {said}")


def _message(answer: bytes) -> str:
    try:
        found = json.loads(answer)["message"]
    except (ValueError, KeyError, TypeError):
        found = answer.decode("utf-8", "replace")
    words = " ".join(str(found).split()) or "without a word"
    if len(words) <= _MOST_LETTERS:
        return words
    half = _MOST_LETTERS // 2  # what is invalid stands in the middle, in full
    return f"{words[:half]} ... {words[-half:]}"
