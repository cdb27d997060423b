"""The environment record: on what the numbers of a run were measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

import deduplab
from deduplab.units import format_bytes

_CHANGING: Final = {"workspace free", "load average at start"}
_PACKAGES = ("numpy", "cryptography", "pyfastcdc", "zstandard", "blake3", "xxhash", "pyarrow")


def record(
    workspace: Path, drivers: Iterable[str] = (), volumes: Collection[str] = ()
) -> dict[str, str]:
    """Return what a reader needs to compare this host with another, as text by name.

    Host names, user names and paths are left out on purpose.

    Parameters
    ----------
    workspace
        Where private instances keep their data; its file system is recorded.
    drivers
        Distribution names of drivers whose versions matter.
    volumes
        Kinds of volumes that cells lie on: how each is made and mounted, and with which tools.
    """
    memory_bytes = psutil.virtual_memory().total
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    found = {
        "deduplab": deduplab.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "operating system": _os_name(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cpus usable": str(len(os.sched_getaffinity(0))),
        "memory": format_bytes(memory_bytes),
        "workspace file system": _file_system(workspace),
        "workspace free": format_bytes(psutil.disk_usage(str(workspace)).free),
        "load average at start": load,
        "virtualised": _virtualised(),
    }
    if volumes:
        found |= _volumes(volumes)
    for name in sorted({*_PACKAGES, *filter(None, drivers)}):
        try:
            found[f"package {name}"] = version(name)
        except PackageNotFoundError:
            continue
    return found


def differences(recorded: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return what makes two environments unlike, one sentence part each; empty if they are alike.

    Figures of unlike environments are never put together. What changes from
    minute to minute (free space, load) is left out.
    """
    names = sorted({*recorded, *now} - _CHANGING)
    return [
        f"{name}: {recorded.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in names
        if recorded.get(name) != now.get(name)
    ]


def differences_within(recorded: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the same where the first may be a record of more systems and volumes than the second.

    What only those others have (their drivers, how their volumes are made) is left out.
    """
    base = {f"package {name}" for name in _PACKAGES}
    concerned = {
        name: text
        for name, text in recorded.items()
        if name in now or name in base or not name.startswith(("package ", "volume "))
    }
    return differences(concerned, now)


def _volumes(kinds: Iterable[str]) -> dict[str, str]:
    """Return how volumes are made, and the versions of the tools, as text by name."""
    # Late: a scan records its environment too, has no volumes, and begins sooner so.
    from deduplab.volumes import DEDUPE_OPTIONS, DEDUPE_PROGRAM, NONE, file_system, tool_version

    found: dict[str, str] = {}
    for kind in kinds:
        if kind == NONE:
            continue
        made_of = file_system(kind)
        version_words = tool_version(made_of.make[0]) or "its tools are missing"
        found[f"volume {kind}"] = f"{made_of.words} ({version_words})"
        if made_of.shares:
            words = tool_version(DEDUPE_PROGRAM) or "missing"
            found["volume dedupe"] = f"{words}; {' '.join(DEDUPE_OPTIONS)}"
    return found


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _cpu_name() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _virtualised() -> str:
    flags = next((line for line in _lines("/proc/cpuinfo") if line.startswith("flags")), "")
    return "yes" if "hypervisor" in flags.split() else "no"


def _file_system(path: Path) -> str:
    """Return type and options of the mount that holds a path, as ``ext4 (rw,relatime)``."""
    resolved = path.resolve()
    best = ("", "unknown", "")
    for line in _lines("/proc/self/mounts"):
        _, mount_point, kind, options, *_ = line.split(" ")
        inside = resolved == Path(mount_point) or Path(mount_point) in resolved.parents
        if inside and len(mount_point) >= len(best[0]):
            best = (mount_point, kind, options)
    return f"{best[1]} ({best[2]})"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
