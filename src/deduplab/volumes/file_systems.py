"""The file systems that a volume can have: how each is made and mounted, and why so.

The options keep a file system's accounting readable; they are recorded with
every reading (see docs/volumes.md for what each is for).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deduplab.errors import PlanError, Unsupported, unknown_name
from deduplab.units import MIB, format_bytes

NONE: Final = "none"
"""No volume: the instance lies on the workspace's own file system."""

# Root's programs are not on every user's path.
_PLACES: Final = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))
_VERSION_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One kind of volume.

    Parameters
    ----------
    kind
        The name in a plan, as ``btrfs-zstd``.
    type
        The kernel's name of the file system, as ``btrfs``.
    package
        The Debian package with its tools.
    make
        The program that makes it, with options; the image file follows.
    mount_options
        Options of mount(8), beside ``loop``.
    least_bytes
        The smallest image that it is made on here.
    shares
        Whether files can share blocks, so that there is a step ``dedupe``.
    """

    kind: str
    type: str
    package: str
    make: tuple[str, ...]
    mount_options: tuple[str, ...]
    least_bytes: int
    shares: bool

    @property
    def words(self) -> str:
        """How it is made and mounted, in one line for the record."""
        return f"{' '.join(self.make)}; mount -o {','.join(self.mount_options)}"

    def require(self, size_bytes: int) -> None:
        """Refuse what can't be made here.

        Raises
        ------
        PlanError
            If the size is below the least one.
        Unsupported
            Without Linux, root, or the tools; the message says what to do.
        """
        if size_bytes < self.least_bytes:
            raise PlanError(
                f"a volume {self.kind!r} takes at least {format_bytes(self.least_bytes)}, "
                f"not {format_bytes(size_bytes)}"
            )
        if sys.platform != "linux":
            raise Unsupported(f"a volume {self.kind!r} needs Linux, for its loop mounts")
        if os.geteuid() != 0:
            raise Unsupported(
                f"a volume {self.kind!r} is mounted over a loop device, and that takes root; "
                'run as root (sudo), or leave the key "volume" out of the plan'
            )
        for program, package in ((self.make[0], self.package), ("mount", "mount")):
            if tool(program) is None:
                raise Unsupported(
                    f"a volume {self.kind!r} needs the program {program}, which is not installed; "
                    f"install it with: apt-get install {package}"
                )
        if not Path("/dev/loop-control").exists():
            raise Unsupported(
                f"a volume {self.kind!r} needs loop devices, and there is no /dev/loop-control; "
                "load the kernel's module with: modprobe loop"
            )


def _btrfs(kind: str, *more_options: str) -> FileSystem:
    return FileSystem(
        kind=kind,
        type="btrfs",
        package="btrfs-progs",
        # One copy of metadata: the default for one device writes it twice (DUP).
        make=("mkfs.btrfs", "--quiet", "--nodiscard", "--data", "single", "--metadata", "single"),
        mount_options=("noatime", "nodiscard", *more_options),
        least_bytes=128 * MIB,
        shares=True,
    )


FILE_SYSTEMS: Final[dict[str, FileSystem]] = {
    entry.kind: entry
    for entry in (
        _btrfs("btrfs"),
        _btrfs("btrfs-zstd", "compress=zstd:3"),
        FileSystem(
            kind="xfs",
            type="xfs",
            package="xfsprogs",
            make=("mkfs.xfs", "-q", "-K", "-m", "reflink=1"),
            # No speculative preallocation behind the end of files that grow.
            mount_options=("noatime", "nodiscard", "allocsize=4096"),
            least_bytes=300 * MIB,
            shares=True,
        ),
        FileSystem(
            kind="ext4",
            type="ext4",
            package="e2fsprogs",
            # Nothing reserved for root, nothing initialised later in the background, and an
            # inode for every 4 KiB: a store may keep each object in a file.
            make=(
                *("mkfs.ext4", "-q", "-m", "0", "-i", "4096"),
                *("-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"),
            ),
            mount_options=("noatime", "nodiscard"),
            least_bytes=16 * MIB,
            shares=False,
        ),
    )
}


def file_system(kind: str) -> FileSystem:
    """Return the file system of a kind of volume.

    Raises
    ------
    PlanError
        If there is no such kind; the message names the nearest one.
    """
    if kind not in FILE_SYSTEMS:
        raise PlanError(unknown_name("volume", kind, tuple(FILE_SYSTEMS)))
    return FILE_SYSTEMS[kind]


def tool(program: str) -> str | None:
    """Return the path of a program, on the search path or where root's programs are; or None."""
    return shutil.which(program) or shutil.which(program, path=_PLACES)


def tool_version(program: str) -> str | None:
    """Return the line in which a program tells its version; None where there is none."""
    path = tool(program)
    if path is None:
        return None
    flag = {"mkfs.btrfs": "--version", "duperemove": "--version"}.get(program, "-V")
    try:
        done = subprocess.run(
            [path, flag], capture_output=True, text=True, timeout=_VERSION_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else None
