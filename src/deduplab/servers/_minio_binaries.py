"""Which MinIO is run: where it is looked for, and how it is built from its Go module.

MinIO publishes its community edition as source alone.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.servers._go_module import GoModule
from deduplab.servers._named_program import named_program

PROGRAM_VARIABLE: Final = "DEDUPLAB_MINIO"
VERSION: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"
"""The module's version: MinIO's tags are no versions to Go, so it is the time and the commit."""

SOURCE: Final = f"Go module github.com/minio/minio {VERSION}, built by go install"

_MODULE: Final = "github.com/minio/minio"
_STAMP: Final = re.fullmatch(r".*-(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)-([0-9a-f]{12})", VERSION)


def _stamps() -> tuple[tuple[str, str], ...]:
    """Return the version that the program is to tell."""
    assert _STAMP is not None
    year, month, day, hour, minute, second, commit = _STAMP.groups()
    names = {
        "Version": f"{year}-{month}-{day}T{hour}:{minute}:{second}Z",
        "ReleaseTag": f"DEVELOPMENT.{year}-{month}-{day}T{hour}-{minute}-{second}Z",
        "CommitID": commit,
        "ShortCommitID": commit,
        "CopyrightYear": year,
    }
    return tuple((f"{_MODULE}/cmd.{name}", value) for name, value in names.items())


MINIO: Final = GoModule(
    "MinIO",
    _MODULE,
    VERSION,
    "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=",
    (1, 24),
    "minio",
    stamps=_stamps(),
)

installed_program = MINIO.installed_program
install = MINIO.install


def find() -> Path:
    """Return ``minio``: of ``DEDUPLAB_MINIO``, the installed one, or of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to do.
    """
    named = named_program(PROGRAM_VARIABLE)
    if named is not None:
        return named
    if installed_program().exists():
        return installed_program()
    found = shutil.which("minio")
    if found is None:
        raise SystemUnavailable(
            "no MinIO found; install it with: deduplab systems install minio "
            f"(built by Go {MINIO.least} or newer), or set {PROGRAM_VARIABLE} to the program"
        )
    return Path(found).absolute()
