"""Environments: what a server's process is told by ours, and what a client's.

A server gets a few variables by name and no others: those of our environment hold secrets of other
systems (``secret = "env:LAB_PASSWORD"`` in a plan), and settings that would change what it does.
A client that somebody uses by hand gets the environment that he works in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_FOR_SERVERS: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR"),
    *("LANG", "LANGUAGE", "TZ", "TZDIR"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "JAVA_HOME", "PYTHONPATH"),
)
_LOCALE: Final = "LC_"


def server_environment(**added: str) -> Mapping[str, str]:
    """Return what a server's process is told: where things are, the language, the time zone."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _FOR_SERVERS or name.startswith(_LOCALE)
    }
    return {**kept, **added}


def environment_without(*prefixes: str, **added: str) -> Mapping[str, str]:
    """Return our environment without variables that would change what a product's client does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {**kept, **added}
