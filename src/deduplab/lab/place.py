"""The lab: the folder of a workspace that holds the instances kept by hand, one a system.

Runs' instances lie beside it, and a run's sweep does not look into it. Who makes or
removes an instance holds the workspace locked meanwhile, which is a moment; who looks
needs no lock, since an instance appears and vanishes by one rename.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import psutil

from deduplab import registry
from deduplab.errors import PlanError, StoreError, SystemUnavailable
from deduplab.executors.workspace import end_processes
from deduplab.lab.instance import ASIDE, MARKER, Instance, Record, aside_name
from deduplab.servers import _shared_memory

_DIRECTORY: Final = "lab"
_LOCK_DEADLINE_S: Final = 60.0
_POLL_S: Final = 0.05
_REMOVE_DEADLINE_S: Final = 5.0
_MAKE_ATTEMPTS: Final = 5


class Lab:
    """The instances of one workspace.

    Parameters
    ----------
    workspace
        Where private instances live; it need not be there to be looked at.
    """

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace.absolute()
        self.directory = self._workspace / _DIRECTORY

    def instance(self, system: str) -> Instance:
        """Return the instance of a system, whether it is there or not."""
        return Instance(self.directory / system)

    def instances(self) -> list[Instance]:
        """Return what is there and bears our marker, by name.

        Raises
        ------
        PlanError
            If the workspace can't be looked into.
        """
        try:
            names = sorted(path.name for path in self.directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise PlanError(
                f"{self.directory} can't be looked into: {error}; name your own --workspace"
            ) from error
        found = [self.instance(name) for name in names if not name.startswith(".")]
        return [instance for instance in found if instance.is_ours()]

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the workspace locked, for the moment in which instances are made or removed.

        Raises
        ------
        SystemUnavailable
            If another command holds it too long.
        PlanError
            If it can't be opened.
        """
        end = time.monotonic() + _LOCK_DEADLINE_S
        try:
            descriptor = os.open(self._workspace, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise PlanError(
                f"the workspace {self._workspace} can't be opened: {error.strerror}; "
                "name your own --workspace"
            ) from error
        try:
            while not _locked(descriptor):
                if time.monotonic() > end:
                    raise SystemUnavailable(
                        f"another command has held {self._workspace} for {_LOCK_DEADLINE_S:g} s; "
                        "see which: deduplab systems status"
                    )
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)

    def claim(self, system: str) -> tuple[Instance, IO[str]]:
        """Make the directory of an instance; return it with its owner file, locked.

        To be called while the lab is :meth:`changing`, where there is none.

        Raises
        ------
        PlanError
            If something without our marker is in its place.
        """
        instance = self.instance(system)
        if instance.directory.exists():
            raise PlanError(
                f"{instance.directory} is there and is not of deduplab's making, so it is left "
                "alone; move it away, or name another --workspace"
            )
        aside = Instance(self.directory / aside_name())
        _make(aside.directory)
        owner = aside.owner_file.open("w", encoding="utf-8")
        try:
            fcntl.flock(owner, fcntl.LOCK_EX)
            owner.write(MARKER)
            owner.flush()
            aside.directory.rename(instance.directory)
        except BaseException:
            owner.close()
            raise
        return instance, owner

    def clean(self, instance: Instance) -> int:
        """Remove an instance that nobody holds, and end what still runs of it.

        To be called while the lab is :meth:`changing`.

        Returns
        -------
        int
            How many processes were ended.

        Raises
        ------
        StoreError
            If something can't be removed.
        """
        record = instance.record()
        ended = end_processes(_left_of(record, instance.directory)) if record else 0
        _shared_memory.release(instance.directory)
        instance.remove()
        with suppress(PlanError):  # a system of somebody else's that is not installed any more
            registry.system(instance.system).server_class().sweep()
        self.tidy()
        return ended

    def tidy(self) -> None:
        """Remove what removals and claims that were killed half-way left, and an empty lab.

        To be called while the lab is :meth:`changing`.

        Raises
        ------
        StoreError
            If something can't be removed.
        """
        for path in self.directory.glob(ASIDE):
            if Instance(path).is_held():
                continue  # its keeper is just about to remove it
            _remove(path)
        with suppress(OSError):
            self.directory.rmdir()


def _remove(directory: Path) -> None:
    """Remove a directory; once more where something that is about to end still writes to it."""
    end = time.monotonic() + _REMOVE_DEADLINE_S
    while directory.exists():
        shutil.rmtree(directory, ignore_errors=True)
        if time.monotonic() > end:
            raise StoreError(
                f"{directory} can't be removed; look what is in it, and who may remove it"
            )
        time.sleep(_POLL_S)


def _make(directory: Path) -> None:
    """Make a directory of the lab that accounts of servers pass through without seeing it."""
    for attempt in range(1, _MAKE_ATTEMPTS + 1):
        try:
            directory.mkdir(parents=True)
            break
        except FileNotFoundError:  # a keeper has just removed the empty lab
            if attempt == _MAKE_ATTEMPTS:
                raise
    for made in (directory.parent, directory):
        made.chmod(0o711)  # whatever the umask


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _left_of(record: Record, directory: Path) -> list[psutil.Process]:
    """Return the server's processes that outlived their keeper.

    They are those that were written down and those of their sessions, as far as they work
    inside the directory. A person's shell may stand there too, and is nobody's to end.
    """
    known = {identity.pid for identity in record.processes}
    found = []
    for process in psutil.process_iter():
        try:
            inside = Path(process.cwd()).is_relative_to(directory.resolve())
            ours = os.getsid(process.pid) in known
        except (psutil.Error, OSError):
            continue
        listed = any(one.pid == process.pid and one.lives() for one in record.processes)
        if inside and (ours or listed):
            found.append(process)
    return found
