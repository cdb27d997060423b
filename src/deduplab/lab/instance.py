"""One instance that is kept for use by hand: what of it lies on the disk, and how it is doing.

::

    WORKSPACE/lab/SYSTEM/owner           our marker; locked as long as the keeper lives
                         instance.json   the record: address, state, processes; no secret
                         secret          the secret alone
                         keeper.log      what the keeper itself had to say
                         client/         files by which the product's client logs in
                         instance/       the server's own directory
"""

from __future__ import annotations

import fcntl
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from deduplab.errors import ProbeError, StoreError
from deduplab.lab.process_id import ProcessId
from deduplab.probes.files import FilesProbe
from deduplab.server import Endpoint, Secret
from deduplab.servers._private_server import write_private

ASIDE: Final = ".deduplab-*"
"""What directories are called while they are made or removed."""

MARKER: Final = "deduplab: an instance for use by hand, kept by the process that locks this file\n"
"""What the owner file of every instance says; a directory without it is not ours."""


class Status(StrEnum):
    """How an instance is doing."""

    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    ENDED = "ended"
    """The server ended though nobody stopped it; its data is there, and the reason."""
    LOST = "lost"
    """The keeper was killed, and its server with it; its data is there."""


@dataclass(frozen=True)
class Record:
    """What the keeper writes down; never the secret.

    ``since_unix_ns`` is when the state was entered, ``processes`` are the server's when it
    came up, ``directory`` is its data directory, ``reason`` is how it ended.
    """

    system: str
    variant: str
    durability: str
    status: Status
    keeper: ProcessId
    since_unix_ns: int
    processes: tuple[ProcessId, ...] = ()
    version: str = ""
    host: str = ""
    port: int = 0
    user: str | None = None
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    reason: str = ""

    @property
    def address(self) -> str:
        """Host and port; empty before it came up."""
        return f"{self.host}:{self.port}" if self.host else ""


class Instance:
    """The directory of one instance.

    Parameters
    ----------
    directory
        Its name is the system's.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.system = directory.name
        self.owner_file = directory / "owner"
        self.secret_file = directory / "secret"
        self.log = directory / "keeper.log"
        self.client_directory = directory / "client"
        self.workspace = directory / "instance"
        self._record_file = directory / "instance.json"

    def is_ours(self) -> bool:
        """Whether it is there and bears our marker."""
        try:
            return self.owner_file.read_text("utf-8") == MARKER
        except (OSError, UnicodeDecodeError):
            return False

    def is_held(self) -> bool:
        """Whether a keeper lives that holds it."""
        try:
            with self.owner_file.open() as owner:
                fcntl.flock(owner, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def record(self) -> Record | None:
        """Return what the keeper wrote down; None before it did, or where nothing is.

        Raises
        ------
        StoreError
            If it can't be read.
        """
        try:
            return msgspec.json.decode(self._record_file.read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreError(
                f"the record {self._record_file} can't be read: {error}; if no version of deduplab "
                f"can, end what runs in {self.directory} and remove that directory"
            ) from error

    def write(self, record: Record) -> None:
        """Write the record, whole or not at all."""
        write_private(self._record_file, msgspec.json.format(msgspec.json.encode(record)).decode())

    def status(self) -> Status | None:
        """Return how it is doing; None where there is none of ours."""
        if not self.is_ours():
            return None
        record = self.record()
        if record is not None and record.status is Status.ENDED:
            return Status.ENDED
        if not self.is_held():
            # It may have been taken down between the two looks.
            return Status.LOST if self.is_ours() else None
        return record.status if record else Status.STARTING

    def endpoint(self, record: Record) -> Endpoint:
        """Return where it is reached, with its secret.

        Raises
        ------
        StoreError
            If the secret's file can't be read.
        """
        try:
            secret = Secret(self.secret_file.read_text("utf-8").strip(), self.secret_reference)
        except OSError as error:
            raise StoreError(f"the secret of {self.system} can't be read: {error}") from error
        return Endpoint(
            directory=Path(record.directory),
            host=record.host,
            port=record.port,
            user=record.user,
            secret=secret,
            database=record.database,
            options=dict(record.options),
        )

    @property
    def secret_reference(self) -> str:
        """The secret as a plan refers to it."""
        return f"file:{self.secret_file}"

    def allocated_bytes(self, record: Record) -> int | None:
        """Return what the files of its data directory take on the disk; None if there is none."""
        try:
            return (
                FilesProbe(Path(record.directory)).allocated_bytes() if record.directory else None
            )
        except ProbeError:
            return None

    def remove(self) -> None:
        """Remove it with everything in it, and the lab where that is empty then.

        Its name is free at once. Nothing may run in it any more.

        Raises
        ------
        StoreError
            If it can't be removed, as on a file system that has become read-only.
        """
        aside = self.directory.with_name(aside_name())
        try:
            self.directory.rename(aside)
        except OSError as error:
            raise StoreError(f"{self.directory} can't be removed: {error.strerror}") from error
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(OSError):
            aside.parent.rmdir()


def aside_name() -> str:
    """Return a name of its own for a directory that is being made or removed."""
    return ASIDE.replace("*", uuid.uuid4().hex[:12])
