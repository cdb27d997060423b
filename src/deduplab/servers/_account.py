"""The system account that a product runs under, where it is not ours: most refuse root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deduplab.errors import SystemUnavailable

UNPRIVILEGED_NAME: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A system account that a product runs under."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Return what ``subprocess`` needs to become this account, and no other group."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a file or directory of ours to this account."""
        os.chown(path, self.uid, self.gid)


def make_passable(directory: Path) -> None:
    """Make a directory that every account gets through, whatever the umask, and none sees."""
    directory.mkdir()
    directory.chmod(0o711)


def unprivileged_account() -> Account | None:
    """Return the account for products that refuse root; None where we are not root.

    Raises
    ------
    SystemUnavailable
        If we are root and the account ``nobody`` does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_NAME)
    except KeyError as error:
        raise SystemUnavailable(
            f"we are root, the product refuses root, and there is no account "
            f"{UNPRIVILEGED_NAME!r} to run it under; start deduplab as an ordinary user"
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def first_closed_directory(path: Path, account: Account) -> Path | None:
    """Return the first directory on the way to ``path`` that the account can't enter, or None.

    Decided by owner and mode bits; access control lists are not looked at.
    """
    resolved = path.resolve()
    for directory in (*reversed(resolved.parents), resolved):
        if not directory.is_dir():
            continue
        status = directory.stat()
        if status.st_uid == account.uid:
            bit = stat.S_IXUSR
        elif status.st_gid == account.gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not status.st_mode & bit:
            return directory
    return None
