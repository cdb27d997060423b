"""From what a person writes to a target: addresses by their scheme, paths by a look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from deduplab.bound.sources.address import Address, parse_address
from deduplab.errors import PlanError, unknown_name
from deduplab.exports.archive import ArchiveTarget, is_archive
from deduplab.exports.directory import DirectoryTarget
from deduplab.exports.target import Target

SCHEMES: Final = ("s3", "git+ssh", "git+https", "git+file")
_GIT: Final = "git+"


def open_target(text: str) -> Target:
    """Return the target that a text names; nothing is asked or written yet.

    Parameters
    ----------
    text
        A directory; an archive (``.tar.gz``, ``.tgz``, ``.zip``); the path of a bare Git
        repository; or an address: ``s3://bucket/prefix?endpoint=...&access_key=NAME&secret=...``,
        ``git+ssh://user@host/path``, ``git+https://host/path?secret=...``, ``git+file:///path``.
        Secrets by ``env:NAME`` or ``file:PATH``.

    Raises
    ------
    PlanError
        If it names none, holds a password, or has an option without a meaning.
    """
    if "://" in text:
        return _of_address(text, text.partition("://")[0])
    if not text:
        raise PlanError("a target has no name; name a directory, an archive or an address")
    path = Path(text)
    if is_archive(path.name):
        return ArchiveTarget(path)
    if _is_bare_repository(path):
        return _git(str(path.absolute()), Address(f"{_GIT}file", "", path=str(path.absolute())))
    if path.suffix == ".git":
        raise PlanError(f"no bare Git repository is in {text}; make it: git init --bare {text}")
    return DirectoryTarget(path)


def secret_of(text: str) -> str | None:
    """Return what a target's address refers to as secret: ``env:NAME`` or ``file:PATH``."""
    if "://" not in text:
        return None
    return dict(parse_qsl(urlsplit(text).query)).get("secret")


def _of_address(text: str, scheme: str) -> Target:
    if scheme == "s3":
        from deduplab.bound.sources.s3_bucket import OPTIONS
        from deduplab.exports.s3 import S3Target

        return S3Target(parse_address(text, OPTIONS))
    if scheme not in SCHEMES:
        raise PlanError(unknown_name("kind of target", scheme, SCHEMES))
    from deduplab.exports.git import OPTIONS as GIT_OPTIONS

    address = parse_address(text, GIT_OPTIONS)
    if not address.path or bool(address.host) is (scheme == "git+file"):
        example = "git+file:///path" if scheme == "git+file" else f"{scheme}://host/path"
        raise PlanError(f"{address.shown}: a repository is written like {example}")
    if scheme == "git+file":
        return _git(f"/{address.path}", address)
    place = urlsplit(text)
    host = place.netloc
    if address.secret:
        host = host.rpartition("@")[2]  # the login is told beside the address
    return _git(f"{scheme.removeprefix(_GIT)}://{host}{place.path}", address)


def _git(url: str, address: Address) -> Target:
    from deduplab.exports.git import GitTarget

    return GitTarget(url, address)


def _is_bare_repository(path: Path) -> bool:
    return all((path / name).exists() for name in ("HEAD", "objects", "refs"))
