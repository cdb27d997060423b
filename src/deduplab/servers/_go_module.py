"""A program that is built from its Go module, by the user's own Go, pinned by version and checksum.

Go checks the module and all that it needs against the checksums in ``go.sum`` and in Go's
checksum database; the program is kept in a directory of our own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deduplab.cache_folder import cache_folder
from deduplab.errors import SystemUnavailable

_BUILD_S: Final = 3600.0
_TAIL_LINES: Final = 15
_GO: Final = re.compile(r"go(\d+)\.(\d+)")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class GoModule:
    """A program's module.

    Parameters
    ----------
    title
        The product, as messages spell it.
    module
        The module's path.
    version
        The pinned version.
    checksum
        The module's hash, as ``go.sum`` has it.
    least_go
        The oldest Go that builds it.
    program
        The program's name, and that of its folder before the version.
    package
        The package in the module that is the program; empty for the module itself.
    stamps
        Variables that are set by the linker, for a version that it is to tell.
    """

    title: str
    module: str
    version: str
    checksum: str
    least_go: tuple[int, int]
    program: str
    package: str = ""
    stamps: tuple[tuple[str, str], ...] = ()

    @property
    def least(self) -> str:
        """The oldest Go, as it is written."""
        return ".".join(map(str, self.least_go))

    def installed_program(self) -> Path:
        """Return where an installed one lies, whether it is there or not."""
        return cache_folder() / f"{self.program}-{self.version}" / self.program

    def install(self, progress: Progress) -> Path:
        """Build the program; return it.

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
        program = self.installed_program()
        if program.exists():
            progress(f"{self.program} {self.version} is there: {program}")
            return program
        go = self.find_go()
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{self.program}-", dir=program.parent) as scratch:
            progress(f"fetching {self.module} {self.version}")
            told = [go, "mod", "download", "-json", f"{self.module}@{self.version}"]
            self.check(_run(told, scratch))
            progress(f"building {self.title} by go install; that takes some minutes of two cores")
            _run(self.build_command(go), scratch)
            built = Path(scratch) / self.program
            built.chmod(0o755)
            built.rename(program)
        progress(f"{self.program} {self.version} is installed: {program}")
        return program

    def build_command(self, go: str) -> list[str]:
        """Return the command that builds the program."""
        linked = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in self.stamps)])
        package = f"{self.module}/{self.package}".rstrip("/")
        return [go, "install", "-trimpath", f"-ldflags={linked}", f"{package}@{self.version}"]

    def check(self, answer: str) -> None:
        """Check what ``go mod download -json`` tells of the module against the pinned checksum.

        Raises
        ------
        SystemUnavailable
            If it is another one.
        """
        if f'"Sum": "{self.checksum}"' not in answer:
            raise SystemUnavailable(
                f"the module {self.module} {self.version} is not the one that was pinned (its "
                "checksum differs); nothing is built"
            )

    def find_go(self) -> str:
        """Return the Go of the search path.

        Raises
        ------
        SystemUnavailable
            If there is none, or it is too old.
        """
        hint = f"{self.title} is built from source and needs Go {self.least} or newer"
        go = shutil.which("go")
        if go is None:
            raise SystemUnavailable(
                f"{hint}, and there is none; install one with: apt-get install golang"
            )
        told = _run([go, "env", "GOVERSION"], "/")
        found = _GO.search(told)
        if found is None or (int(found[1]), int(found[2])) < self.least_go:
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
