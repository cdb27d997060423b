"""Which Kafka is run, and on which Java: where they are looked for, and how they are installed.

Apache publishes its broker as Java archives. The versions of all of them, with
their SHA-256, stand in ``kafka_artefacts.txt``; they are fetched by the user's
own Maven, checked, and kept in a directory of our own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from deduplab.cache_folder import cache_folder
from deduplab.errors import SystemUnavailable

LIBRARIES_VARIABLE: Final = "DEDUPLAB_KAFKA_LIBS"
VERSION: Final = "4.3.0"
SOURCE: Final = f"Apache Kafka {VERSION} from Maven's central repository, by mvn, SHA-256 checked"
LEAST_JAVA: Final = 17
DEBIAN_PACKAGES: Final = ("default-jre-headless", "maven")

_BROKER: Final = re.compile(r"kafka_2\.\d+-(\d[\w.]*)\.jar")
_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_MAVEN_S: Final = 600.0
_APT_S: Final = 900.0
_TAIL_LINES: Final = 15
_ARCHIVE: Final = "classes.jsa"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kafka:
    """A Kafka that can be run.

    Parameters
    ----------
    libraries
        The directory of its Java archives.
    java
        The program that runs them.
    version
        Of the broker.
    """

    libraries: Path
    java: str
    version: str

    def command(self, options: Iterable[str], main: str, *arguments: str) -> list[str]:
        """Return the command line that runs one of its classes."""
        classes = ":".join(str(path) for path in sorted(self.libraries.glob("*.jar")))
        return [self.java, *options, "-cp", classes, main, *arguments]

    @property
    def class_archive(self) -> Path:
        """Java's archive of loaded classes, by which a start takes half the time; may not exist."""
        return self.libraries / _ARCHIVE


def find() -> Kafka:
    """Return the Kafka that is run: that of ``DEDUPLAB_KAFKA_LIBS``, else the installed one.

    Raises
    ------
    SystemUnavailable
        If there is none, or no Java for it; the message says what to do.
    """
    named = os.environ.get(LIBRARIES_VARIABLE)
    directory = Path(named) if named else installed_libraries()
    version = _version_of(directory)
    if version is None:
        if named:
            raise SystemUnavailable(
                f"{LIBRARIES_VARIABLE} is {named!r}, which holds no Kafka (kafka_2.13-*.jar)"
            )
        raise SystemUnavailable(
            "no Apache Kafka found; install it with: deduplab systems install kafka, "
            f"or set {LIBRARIES_VARIABLE} to the directory 'libs' of one"
        )
    return Kafka(directory, find_java(), version)


def installed_libraries() -> Path:
    """Return where an installed Kafka lies, whether it is there or not."""
    return cache_folder() / f"kafka-{VERSION}"


def find_java() -> str:
    """Return the Java to run, that of ``JAVA_HOME`` or of the search path.

    Raises
    ------
    SystemUnavailable
        If there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    hint = "install one with: apt-get install default-jre-headless"
    if java is None:
        raise SystemUnavailable(
            f"Kafka needs Java {LEAST_JAVA} or newer, and there is none; {hint}"
        )
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemUnavailable(f"{java} can't be run: {error}; {hint}") from error
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < LEAST_JAVA:
        said = told.splitlines()[0] if told else "no version"
        raise SystemUnavailable(
            f"Kafka needs Java {LEAST_JAVA} or newer, but {java} says: {said}; {hint}"
        )
    return java


def install(progress: Progress) -> Path:
    """Install Kafka, and Java and Maven where they are missing and we may; return its directory.

    Parameters
    ----------
    progress
        Told in words what is done next.

    Raises
    ------
    SystemUnavailable
        If something can't be had; nothing half-done is left.
    """
    home = installed_libraries()
    if _version_of(home) is not None:
        progress(f"kafka {VERSION} is there: {home}")
        return home
    _install_tools(progress)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".kafka-", dir=home.parent) as scratch:
        aside = Path(scratch) / "libs"
        progress(f"fetching {len(artefacts())} Java archives of {SOURCE}")
        _fetch(Path(scratch), aside)
        check_artefacts(aside)
        aside.chmod(0o755)
        aside.rename(home)
    progress("archiving the classes that a broker loads, so that it starts in half the time")
    from deduplab.servers._kafka_archive import archive_classes

    archive_classes(Kafka(home, find_java(), VERSION))
    progress(f"kafka {VERSION} is installed: {home}")
    return home


def artefacts() -> dict[str, str]:
    """Return the SHA-256 of each artefact by its coordinates, ``group:artifact:version``."""
    text = resources.files("deduplab.servers").joinpath("kafka_artefacts.txt").read_text("ascii")
    pairs = (line.split() for line in text.splitlines())
    return {coordinates: digest for digest, coordinates in pairs}


def check_artefacts(directory: Path) -> None:
    """Check that a directory holds exactly the artefacts, byte by byte.

    Raises
    ------
    SystemUnavailable
        If one is missing, another one, or not listed.
    """
    expected = {}
    for coordinates, digest in artefacts().items():
        _, name, version = coordinates.split(":")
        expected[f"{name}-{version}.jar"] = digest
    found = {path.name: path for path in directory.glob("*.jar")}
    if set(found) != set(expected):
        odd = ", ".join(sorted(set(found) ^ set(expected)))
        raise SystemUnavailable(f"not the artefacts of Kafka {VERSION}: {odd}; nothing is kept")
    for name, path in found.items():
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected[name]:
                raise SystemUnavailable(
                    f"{name} is not the file that was pinned (its SHA-256 differs); "
                    "nothing is kept: remove it from Maven's local repository and try again"
                )


def project() -> str:
    """Return the Maven project that depends on exactly the artefacts, and on nothing further."""
    described = []
    for coordinates in artefacts():
        group, name, version = map(escape, coordinates.split(":"))
        described.append(
            f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
            f"<version>{version}</version><exclusions><exclusion><groupId>*</groupId>"
            "<artifactId>*</artifactId></exclusion></exclusions></dependency>\n"
        )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>deduplab</groupId><artifactId>kafka</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>\n{''.join(described)}</dependencies></project>\n"
    )


def _fetch(scratch: Path, into: Path) -> None:
    pom = scratch / "pom.xml"
    pom.write_text(project(), encoding="utf-8")
    _run(
        ["mvn", "-B", "-q", "-f", str(pom), _PLUGIN, f"-DoutputDirectory={into}"],
        "Maven",
        _MAVEN_S,
    )


def _install_tools(progress: Progress) -> None:
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *DEBIAN_PACKAGES]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SystemUnavailable(
            f"to install Kafka {' and '.join(missing)} must be there; "
            f"install with: {' '.join(command)}"
        )
    progress(" ".join(command))
    _run(["apt-get", "update"], "apt-get", _APT_S)
    _run(command, "apt-get", _APT_S)


def _run(command: list[str], name: str, deadline_s: float) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemUnavailable(f"{name} failed: {error}") from error
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        raise SystemUnavailable(f"{name} ended with exit code {done.returncode}:\n{said}")


def _version_of(directory: Path) -> str | None:
    if not directory.is_dir():
        return None
    for path in sorted(directory.iterdir(), reverse=True):
        found = _BROKER.fullmatch(path.name)
        if found:
            return found[1]
    return None
