"""Mounting: a fresh file system for as long as somebody holds it, and no trace of it afterwards.

The image file is deleted as soon as it is mounted: the loop device alone keeps
it, and both go with the mount. The mount itself goes in order at the end. If
the process that made it is killed, it goes

- with the last process of its mount namespace, where it was made inside one of
  its own (:func:`private_mounts`; this is how cells run): the kernel does it;
- by a guardian otherwise: a small child that waits for the end of a pipe, which
  the kernel closes however this process ends, and unmounts then.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.volumes.file_systems import FileSystem, file_system, tool

# <linux/sched.h>, <linux/mount.h>
_CLONE_NEWNS: Final = 0x00020000
_MS_REC: Final = 0x4000
_MS_SLAVE: Final = 0x80000

_TOOL_S: Final = 120.0
_BUSY_S: Final = 5.0
_PAUSE_S: Final = 0.02
_GUARDIAN: Final = 'read -r _; umount --lazy "$1" 2>/dev/null; exit 0'

_namespace_owner: int | None = None
"""The id of the process that has a mount namespace of its own; a forked child has another id."""


def private_mounts() -> None:
    """Give this process a mount namespace of its own, for all volumes that it makes from now on.

    What is mounted in it is seen by this process and by those that it starts,
    and goes with the last of them; what the host mounts or unmounts is still
    seen. Threads that run already keep the old one, so call it first
    (unshare(2), mount_namespaces(7)).

    Raises
    ------
    Unsupported
        Without the right to do so.
    """
    global _namespace_owner
    if _namespace_owner == os.getpid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(
        b"none", b"/", None, _MS_REC | _MS_SLAVE, None
    ):
        reason = os.strerror(ctypes.get_errno())
        raise Unsupported(
            f"a volume needs a mount namespace of its own, and that was refused ({reason}); "
            "run as root, with the capability CAP_SYS_ADMIN"
        )
    _namespace_owner = os.getpid()


@contextmanager
def mounted(kind: str, size_bytes: int, directory: Path) -> Iterator[Path]:
    """Put a fresh file system on a directory, and take it away at the end.

    Parameters
    ----------
    kind
        ``btrfs``, ``btrfs-zstd``, ``xfs`` or ``ext4``.
    size_bytes
        Length of the image; sparse, so only what is written takes space on the disk
        below, beside ``directory``. The file system itself takes some of it.
    directory
        An existing, empty directory. What it is mounted on is the yielded path: empty,
        and passable but not listable for others (mode 711).

    Raises
    ------
    PlanError
        If the kind is unknown or the size too small for it.
    Unsupported
        Without root, the tools, or the kernel's support; the message says what to do.
    SystemUnavailable
        If it can't be made now.
    """
    wanted = file_system(kind)
    wanted.require(size_bytes)
    place = directory.resolve()
    with ExitStack() as stack:
        if _namespace_owner != os.getpid():
            stack.enter_context(_guarded(place))
        stack.callback(_unmount, place)
        _make_and_mount(wanted, size_bytes, place)
        with suppress(FileNotFoundError):
            (place / "lost+found").rmdir()
        place.chmod(0o711)
        yield directory


def unmount_below(directory: Path) -> int:
    """Unmount what is mounted at or below a directory, lazily if it is busy; return how many.

    Only mounts that this process sees.
    """
    found = [place for place in mount_points() if place.is_relative_to(directory)]
    for place in reversed(found):
        _unmount(place, deadline_s=0.0)
    return len(found)


def mount_points(process: str = "self") -> list[Path]:
    """Return where a process sees file systems mounted, in order (proc(5), mountinfo).

    Empty where the process is gone or can't be looked at.
    """
    try:
        lines = Path(f"/proc/{process}/mountinfo").read_text().splitlines()
    except OSError:
        return []
    return [Path(_unescaped(line.split(" ")[4])) for line in lines]


def mounted_device(directory: Path) -> Path:
    """Return the device of the file system that is mounted at a directory.

    Raises
    ------
    SystemUnavailable
        If there is none.
    """
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        place, _, described = line.partition(" - ")
        if Path(_unescaped(place.split(" ")[4])) == directory.resolve():
            return Path(described.split(" ")[1])
    raise SystemUnavailable(f"no file system is mounted at {directory}")


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _make_and_mount(wanted: FileSystem, size_bytes: int, directory: Path) -> None:
    image = directory.with_name(f"{directory.name}.image")
    options = ",".join(("loop", *wanted.mount_options))
    try:
        with image.open("xb") as file:  # one that is there is not ours, and stays
            file.truncate(size_bytes)
    except OSError as error:
        raise SystemUnavailable(f"a volume can't be made at {directory}: {error}") from error
    try:
        _run(wanted, [tool(wanted.make[0]) or wanted.make[0], *wanted.make[1:], str(image)])
        _run(wanted, ["mount", "-t", wanted.type, "-o", options, str(image), str(directory)])
    finally:
        image.unlink(missing_ok=True)  # the loop device keeps what was mounted


def _run(wanted: FileSystem, command: Sequence[str]) -> None:
    """Run a tool and translate its refusal."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TOOL_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise SystemUnavailable(
            f"{Path(command[0]).name} was not done within {_TOOL_S:g} s; is the disk at work?"
        ) from error
    except OSError as error:
        raise SystemUnavailable(f"{command[0]} can't be started: {error}") from error
    if done.returncode == 0:
        return
    words = " ".join((done.stderr or done.stdout).split())
    if "unknown filesystem type" in words:
        raise Unsupported(
            f"this kernel can't mount {wanted.type}, so there is no volume {wanted.kind!r} here; "
            f"load its module (modprobe {wanted.type}), or take another volume"
        )
    if "ermission denied" in words or "not permitted" in words:
        raise Unsupported(
            f"a volume {wanted.kind!r} can't be mounted, though this is root ({words}); "
            "inside a container that takes the capability CAP_SYS_ADMIN and loop devices"
        )
    raise SystemUnavailable(f"{Path(command[0]).name} failed: {words or done.returncode}")


@contextmanager
def _guarded(directory: Path) -> Iterator[None]:
    """Have a child that unmounts once this process has ended, however that happens."""
    try:
        guardian = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN, "sh", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C in the terminal is not meant for it
        )
    except OSError as error:
        raise SystemUnavailable(f"a volume can't be guarded: {error}") from error
    try:
        yield
    finally:
        try:
            guardian.communicate(timeout=_TOOL_S)  # closes the pipe; nothing is mounted by now
        except subprocess.TimeoutExpired:
            guardian.kill()
            guardian.communicate()


def _unmount(directory: Path, deadline_s: float | None = None) -> None:
    """Unmount; if it stays busy until the deadline, detach it: it goes with its last user."""
    deadline = time.monotonic() + (_BUSY_S if deadline_s is None else deadline_s)
    while directory in mount_points():
        if _umount(str(directory)):
            continue
        if time.monotonic() >= deadline:
            _umount("--lazy", str(directory))
            return
        time.sleep(_PAUSE_S)


def _umount(*arguments: str) -> bool:
    """Run umount(8) and tell whether it did it."""
    try:
        done = subprocess.run(
            ["umount", *arguments], capture_output=True, timeout=_TOOL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
