"""Processes that work below a directory, found by where they stand."""

from __future__ import annotations

from pathlib import Path

import psutil


def inside(directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(directory):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def marked(name: str, value: str) -> list[psutil.Process]:
    """Return the processes that inherited a variable with this value, zombies aside."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
