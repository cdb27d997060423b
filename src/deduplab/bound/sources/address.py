"""Addresses of servers as URLs: ``scheme://user@host:port/path?option=value``.

A secret never stands in an address: ``secret=env:NAME`` or ``secret=file:PATH``
says where it is, and what is shown of an address has no query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from deduplab.errors import PlanError, unknown_name
from deduplab.remote import resolve

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    ``path`` is what stands behind the host, without the first slash (a database,
    bucket or topic). ``secret`` is a reference, never the secret.
    """

    scheme: str
    host: str
    port: int | None = None
    user: str | None = None
    path: str = ""
    secret: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The address for people: without user, secret and options."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{host}{port}/{self.path}"

    @property
    def local(self) -> bool:
        """Whether the server is on this machine: only then it needs no TLS."""
        return self.host in LOOPBACK

    @property
    def tls(self) -> bool:
        """Whether to insist on TLS: by the option ``tls``, else where the server is elsewhere."""
        said = self.options.get("tls")
        if said not in (None, "yes", "no"):
            raise PlanError(f"{self.shown}: tls is 'yes' or 'no', not {said!r}")
        return not self.local if said is None else said == "yes"

    def password(self) -> str | None:
        """Look the secret up, now.

        Raises
        ------
        PlanError
            If it is not where the reference says.
        """
        return resolve(self.secret).reveal() if self.secret else None


def parse_address(text: str, known_options: tuple[str, ...]) -> Address:
    """Read a URL; options it doesn't know are refused.

    Raises
    ------
    PlanError
        If it is no such URL, holds a password, or has an unknown option.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        # The error quotes what may be a part of a password.
        raise PlanError(
            f"not a usable address: {_without_user(text)!r}; it is written like "
            "scheme://user@host:port/path?option=value"
        ) from None
    if parts.fragment or text.endswith("#"):
        raise PlanError(f"{_without_user(text)!r}: write '#' as %23 in an address")
    if parts.password is not None or (port is not None and "@" in parts.path):
        raise PlanError(
            f"{_without_user(text)!r}: a password doesn't belong into an address; leave it out and "
            "say where it is: ?secret=env:NAME or ?secret=file:PATH"
        )
    options = dict(query)
    secret = options.pop("secret", None)
    for name in options:
        if name not in known_options:
            raise PlanError(
                f"{parts.scheme}: {unknown_name('option', name, ('secret', *known_options))}"
            )
    if secret is not None and not secret.startswith(("env:", "file:")):
        raise PlanError(
            f"{parts.scheme}: a secret is given by reference: 'env:NAME' or 'file:PATH', "
            "never itself"
        )
    user = unquote(parts.username) if parts.username else None
    path = unquote(parts.path.lstrip("/"))
    return Address(parts.scheme, parts.hostname or "", port, user, path, secret, options)


def _without_user(text: str) -> str:
    scheme, _, rest = text.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
