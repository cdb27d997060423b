"""Leaks: what a plan refers to as secret must be in no byte that leaves the machine."""

from __future__ import annotations

import html
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from deduplab.errors import PlanError, StoreError
from deduplab.remote import resolve
from deduplab.server import Secret

_LEAST_LENGTH: Final = 6
"""Shorter ones can't be told from words that are no secret."""


def secrets_of(plan_text: str) -> list[Secret]:
    """Return the secrets that a plan refers to, as far as they are here to be looked up."""
    try:
        document = tomllib.loads(plan_text)
    except ValueError:
        return []  # no plan, so it refers to nothing
    found = []
    for reference in dict.fromkeys(_references(document)):
        with suppress(PlanError):  # what is not here can't be looked for, nor leak from here
            found.append(resolve(reference))
    return [secret for secret in found if len(secret.reveal()) >= _LEAST_LENGTH]


def refuse_leaks(files: Mapping[str, Path], secrets: list[Secret]) -> None:
    """Look for secrets in files, as they are and as JSON and HTML write them.

    Raises
    ------
    StoreError
        With the file and the reference, never the secret.
    """
    forms = {form: secret.source for secret in secrets for form in _forms(secret.reveal())}
    if not forms:
        return
    for name, path in files.items():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error}") from error
        for form, source in forms.items():
            if form in content:
                raise StoreError(
                    f"{name} holds the secret of {source}, so nothing is exported; change that "
                    "secret where it is used, and have what holds it measured anew"
                )


def _references(value: Any) -> Iterator[str]:
    """Yield what stands under ``secret`` anywhere in a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "secret" and isinstance(inner, str):
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _forms(value: str) -> set[bytes]:
    escaped = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    return {form.encode() for form in (value, *escaped, html.escape(value))}
