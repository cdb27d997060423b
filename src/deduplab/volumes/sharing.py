"""The step dedupe: equal blocks of a volume are shared beneath the files, by one of two programs.

Either asks the kernel to share what is equal (FIDEDUPERANGE,
ioctl_fideduperange(2)). The kernel compares under lock before it shares, so
that is safe while a server runs, and changes no content.

- ``dedupe``: duperemove(8), the usual program; whole extents.
- ``dedupe-blocks``: :mod:`deduplab.volumes.blocks`; every aligned block of 4 KiB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from deduplab.errors import OperationFailed, Unsupported
from deduplab.model import DEDUPE
from deduplab.volumes.file_systems import FILE_SYSTEMS, FileSystem, tool

PROGRAM: Final = "duperemove"
OPTIONS: Final = ("-d", "-r", "-q", "-b", "4096", "--dedupe-options=same")
"""Whole extents from 4 KiB up (instead of 128 KiB), inside one file too.

Not ``partial``: its time grows with the square of the number of files, and of
copies inside one large file it shared none (0.11.2).
"""

_NOTHING_FOUND: Final = "No dedupe candidates found"  # then it ends with an error code, too


def require_sharing(made_of: FileSystem | None, mode: str = DEDUPE) -> None:
    """Refuse where no blocks can be shared.

    Parameters
    ----------
    made_of
        The volume's file system; None without a volume.
    mode
        ``dedupe`` or ``dedupe-blocks``.

    Raises
    ------
    Unsupported
        Without a volume, on one whose file system can't share blocks, or without the
        program; the message says what to do.
    """
    able = ", ".join(kind for kind, entry in FILE_SYSTEMS.items() if entry.shares)
    if made_of is None:
        raise Unsupported(
            f"dedupe shares blocks of a volume, and this instance lies on none; "
            f'put volume = "..." into the plan, one of: {able}'
        )
    if not made_of.shares:
        raise Unsupported(
            f"dedupe: files of {made_of.type} can't share blocks; volumes that can: {able}"
        )
    if mode == DEDUPE and tool(PROGRAM) is None:
        raise Unsupported(
            f"dedupe needs the program {PROGRAM}, which is not installed; "
            f"install it with: apt-get install {PROGRAM}"
        )


def share_blocks(directory: Path, hash_file: Path, deadline_s: float, mode: str = DEDUPE) -> None:
    """Share equal blocks of all files below a directory; return when that is done.

    Parameters
    ----------
    hash_file
        Where hashes are kept meanwhile: a path outside the volume, where nothing is yet.
    deadline_s
        Seconds until it is ended.
    mode
        ``dedupe`` or ``dedupe-blocks``.

    Raises
    ------
    OperationFailed
        If it fails or is not done in time, with the end of what it said.
    """
    own = [sys.executable, "-m", "deduplab.volumes.blocks", str(directory)]
    usual = [tool(PROGRAM) or PROGRAM, *OPTIONS, f"--hashfile={hash_file}", str(directory)]
    setpriv = shutil.which("setpriv")  # the kernel ends it with this process
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    try:
        done = subprocess.run(
            [*prefix, *(usual if mode == DEDUPE else own)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=deadline_s,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise OperationFailed(
            f"{mode} was not done after {deadline_s:.0f} s; raise cell_deadline_s or take less data"
        ) from error
    except OSError as error:
        raise OperationFailed(f"{mode} can't be started: {error}") from error
    finally:
        for path in hash_file.parent.glob(f"{hash_file.name}*"):
            path.unlink(missing_ok=True)
    if done.returncode != 0 and _NOTHING_FOUND not in done.stdout:
        words = " ".join(done.stdout.split())[-400:]
        raise OperationFailed(f"{mode} ended with exit code {done.returncode}: {words}")
