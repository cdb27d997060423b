"""What all in-process systems share: a directory a namespace, with our marker.

An instance is a data directory. Its identity is a random number written there
the first time it is opened, with the directory's inode, so that a copied,
restored or replaced directory is another instance. A namespace is one
sub-directory with our marker; the system keeps its own files beside it.

``close`` does not leave the namespace: ``open`` on the same adapter enters it
again, which is how a restart (a cold cache) is made.
"""

from __future__ import annotations

import os
import secrets
from abc import abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deduplab.adapters._checked_adapter import CheckedAdapter
from deduplab.adapters._marker import MARKER_NAME, MarkedDirectory, Settings, sync_directory
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported, unknown_name
from deduplab.model import Identity
from deduplab.server import Endpoint

_INSTANCE_NAME: Final = "deduplab-instance"

METADATA_COMPONENTS: Final = ((_INSTANCE_NAME, "metadata"), (f"*/{MARKER_NAME}", "metadata"))
"""The files of ours in a data directory; to be put first in ``file_components``."""


class EmbeddedAdapter(CheckedAdapter):
    """Base of the adapters whose system lives in this process.

    A sub-class says how its driver is loaded (``_load_driver``), how its
    files in the namespace's directory are opened and closed (``_attach``,
    ``_detach``) and how all objects are deleted at once (``_truncate``).
    """

    def __init__(self) -> None:
        self._root: Path | None = None
        self._instance = ""
        self._settings: Settings | None = None

    @abstractmethod
    def _load_driver(self) -> None:
        """Import the driver; raise SystemUnavailable where it is missing."""

    @abstractmethod
    def _attach(self, directory: Path, settings: Settings) -> None:
        """Open the system's files in the namespace's directory; make them where there are none."""

    @abstractmethod
    def _detach(self) -> None:
        """Close the system's files; safe to call twice."""

    @abstractmethod
    def _truncate(self) -> None:
        """Delete all objects by the system's own way of doing it at once."""

    def _drop(self, directory: MarkedDirectory, settings: Settings) -> None:
        """Drop the container and create it anew; here: all files but the marker."""
        directory.check()
        self._detach()
        directory.clear()
        self._attach(directory.path, settings)

    @abstractmethod
    def _version(self) -> str:
        """Return the engine's version."""

    def _configuration(self) -> dict[str, str]:
        """Return further settings that matter, as read back from the system."""
        return {}

    def open(self, endpoint: Endpoint) -> None:
        """Load the driver; enter the namespace again if one was entered before ``close``.

        Raises
        ------
        SystemUnavailable
            If the driver is missing or the data directory can't be used.
        """
        if endpoint.directory is None:
            raise SystemUnavailable(
                f"{self.product} runs in this process and needs a data directory; "
                "the endpoint names none"
            )
        self._load_driver()
        try:
            self._instance = _instance_of(endpoint.directory)
        except OSError as error:
            raise SystemUnavailable(
                f"{self.product}: the data directory {endpoint.directory} can't be used: {error}"
            ) from error
        self._root = endpoint.directory
        self._detach()
        if self._settings is not None:
            directory = self._directory(self._settings.namespace)
            directory.check()
            self._attach(directory.path, self._settings)

    def close(self) -> None:
        """Close the files; ``open`` enters the same namespace again."""
        self._detach()
        self._root = None

    def destroy(self) -> None:
        """Remove the namespace's directory; refuse if the marker is gone."""
        self._check_owner()
        settings = self._entered()
        directory = self._directory(settings.namespace)
        directory.check()
        self._detach()
        directory.remove()
        self._settings = None

    def empty(self, mode: str) -> None:
        """Delete all objects: ``truncate`` in place, ``drop`` with the files, made anew."""
        self._check_owner()
        self._check("delete mode", mode, tuple(m for m in _EMPTYING if self._offers_delete(m)))
        settings = self._entered()
        if mode == "truncate":
            self._truncate()
        else:
            self._drop(self._directory(settings.namespace), settings)

    def identity(self) -> Identity:
        """Return the engine's version, the data directory's identity, and the settings."""
        settings = self._settings
        configuration = self._configuration()
        if settings is not None:
            configuration |= settings.described()
        return Identity(self.product, self._version(), self._instance, configuration)

    def _create(self, settings: Settings) -> None:
        """Make the namespace's directory with our marker and enter it, empty."""
        directory = self._directory(settings.namespace)
        self._detach()
        directory.create(settings)
        self._attach(directory.path, settings)
        self._settings = settings

    def _offers_delete(self, mode: str) -> bool:
        return mode in type(self).capabilities.delete_modes

    def _entered(self) -> Settings:
        if self._settings is None or self._root is None:
            raise self._not_entered()
        return self._settings

    def _not_entered(self) -> OperationFailed:
        return OperationFailed(
            f"{self.product}: no namespace is entered; call open() and create() first"
        )

    def _failed(self, what: str, error: object) -> OperationFailed:
        where = self._settings.namespace if self._settings else "no namespace"
        return OperationFailed(f"{self.product}, {where}: {what} failed: {error}")

    def _exists(self, key: str) -> OperationFailed:
        return self._failed(f"put of {key!r}", "the key exists; an object is never replaced")

    def _check(self, what: str, name: str, offered: tuple[str, ...]) -> None:
        if name not in offered:
            raise Unsupported(f"{self.product}: {unknown_name(what, name, offered)}")

    def _check_reclaim(self, mode: str) -> None:
        offered = type(self).capabilities.reclaim_modes
        if not offered:
            raise Unsupported(f"{self.product} has no explicit maintenance, so no {mode!r}")
        self._check("reclaim mode", mode, offered)
        self._entered()

    def _directory(self, namespace: str) -> MarkedDirectory:
        if self._root is None:
            raise self._not_entered()
        return MarkedDirectory(self._root / namespace)


def now_unix_ns() -> int:
    """Return what the engine's clock says, which in process is this process's clock.

    It stamps a reading, to the microsecond; nothing is timed with it.
    """
    return round(datetime.now(UTC).timestamp() * 1_000_000) * 1000


_EMPTYING: Final = ("truncate", "drop")


def _instance_of(directory: Path) -> str:
    """Return the identity of a data directory, written there once."""
    path = directory / _INSTANCE_NAME
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(8))
            file.flush()
            os.fsync(file.fileno())
        sync_directory(directory)
    except FileExistsError:
        pass
    return f"{path.read_text(encoding='ascii')}-{directory.stat().st_ino}"
