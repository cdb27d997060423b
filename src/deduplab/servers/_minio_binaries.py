"""Which MinIO is run: where it is looked for, and how it is built from its Go module.

MinIO publishes its community edition as source alone. It is built by the user's
own Go, which checks the module and all that it needs against the checksums in
``go.sum`` and in Go's checksum database, and kept in a directory of our own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deduplab.cache_folder import cache_folder
from deduplab.errors import SystemUnavailable
from deduplab.servers._named_program import named_program

PROGRAM_VARIABLE: Final = "DEDUPLAB_MINIO"
VERSION: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"
"""The module's version: MinIO's tags are no versions to Go, so it is the time and the commit."""

SOURCE: Final = f"Go module github.com/minio/minio {VERSION}, built by go install"
LEAST_GO: Final = (1, 24)

_MODULE: Final = "github.com/minio/minio"
_SUM: Final = "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA="
_STAMP: Final = re.fullmatch(r".*-(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)-([0-9a-f]{12})", VERSION)
_BUILD_S: Final = 3600.0
_TAIL_LINES: Final = 15
_GO: Final = re.compile(r"go(\d+)\.(\d+)")

Progress = Callable[[str], None]


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
            f"(built by Go {_shown(LEAST_GO)} or newer), or set {PROGRAM_VARIABLE} to the program"
        )
    return Path(found).absolute()


def installed_program() -> Path:
    """Return where an installed MinIO lies, whether it is there or not."""
    return cache_folder() / f"minio-{VERSION}" / "minio"


def install(progress: Progress) -> Path:
    """Build MinIO from its Go module; return the program.

    Parameters
    ----------
    progress
        Told in words what is done next.

    Raises
    ------
    SystemUnavailable
        If there is no Go that is new enough, the module is not the pinned one, or
        the build fails; nothing half-done is left.
    """
    program = installed_program()
    if program.exists():
        progress(f"minio {VERSION} is there: {program}")
        return program
    go = find_go()
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".minio-", dir=program.parent) as scratch:
        progress(f"fetching {_MODULE} {VERSION}")
        check_module(_run([go, "mod", "download", "-json", f"{_MODULE}@{VERSION}"], scratch))
        progress("building MinIO by go install; that takes some minutes of two cores")
        _run(build_command(go), scratch)
        built = Path(scratch) / "minio"
        built.chmod(0o755)
        built.rename(program)
    progress(f"minio {VERSION} is installed: {program}")
    return program


def build_command(go: str) -> list[str]:
    """Return the command that builds the program, with the version that it is to tell."""
    assert _STAMP is not None
    year, month, day, hour, minute, second, commit = _STAMP.groups()
    names = {
        "Version": f"{year}-{month}-{day}T{hour}:{minute}:{second}Z",
        "ReleaseTag": f"DEVELOPMENT.{year}-{month}-{day}T{hour}-{minute}-{second}Z",
        "CommitID": commit,
        "ShortCommitID": commit,
        "CopyrightYear": year,
    }
    stamps = " ".join(f"-X {_MODULE}/cmd.{name}={value}" for name, value in names.items())
    return [go, "install", "-trimpath", f"-ldflags=-s -w {stamps}", f"{_MODULE}@{VERSION}"]


def check_module(answer: str) -> None:
    """Check what ``go mod download -json`` tells of the module against the pinned checksum.

    Raises
    ------
    SystemUnavailable
        If it is another one.
    """
    if f'"Sum": "{_SUM}"' not in answer:
        raise SystemUnavailable(
            f"the module {_MODULE} {VERSION} is not the one that was pinned (its checksum "
            "differs); nothing is built"
        )


def find_go() -> str:
    """Return the Go of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none, or it is too old.
    """
    hint = f"MinIO is built from source and needs Go {_shown(LEAST_GO)} or newer"
    go = shutil.which("go")
    if go is None:
        raise SystemUnavailable(
            f"{hint}, and there is none; install one with: apt-get install golang"
        )
    told = _run([go, "env", "GOVERSION"], "/")
    found = _GO.search(told)
    if found is None or (int(found[1]), int(found[2])) < LEAST_GO:
        raise SystemUnavailable(f"{hint}, but {go} is {told.strip() or 'without a version'}")
    return go


def _run(command: list[str], directory: str) -> str:
    environment = {**os.environ, "GOBIN": directory, "GOFLAGS": "", "CGO_ENABLED": "0"}
    try:
        done = subprocess.run(
            ["nice", "-n", "10", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=directory,
            env=environment,
            timeout=_BUILD_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemUnavailable(f"{command[1]} of Go failed: {error}") from error
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).splitlines()[-_TAIL_LINES:])
        raise SystemUnavailable(f"go {command[1]} ended with exit code {done.returncode}:\n{said}")
    return done.stdout


def _shown(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
