"""Environments: what a server's process is told by ours, what its keeper, and what a client.

A server gets a few variables by name and no others: those of our environment hold secrets of other
systems (``secret = "env:LAB_PASSWORD"`` in a plan), and settings that would change what it does.
The keeper of a server gets these and our own settings, by which recipes find programs.
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
_FOR_KEEPERS: Final = (*_FOR_SERVERS, "XDG_CACHE_HOME")
_OUR_SETTINGS: Final = ("DEDUPLAB_", "PYTHON")


def server_environment(**added: str) -> Mapping[str, str]:
    """Return what a server's process is told: where things are, the language, the time zone."""
    return {**_kept(_FOR_SERVERS, (_LOCALE,)), **added}


def keeper_environment() -> Mapping[str, str]:
    """Return what a keeper is told: what a server is, and how Python and deduplab are set."""
    return _kept(_FOR_KEEPERS, (_LOCALE, *_OUR_SETTINGS))


def environment_without(*prefixes: str, **added: str) -> Mapping[str, str]:
    """Return our environment without variables that would change what a product's client does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {**kept, **added}


def _kept(names: tuple[str, ...], prefixes: tuple[str, ...]) -> dict[str, str]:
    """Return the variables of our environment that have these names, or begin so."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in names or name.startswith(prefixes)
    }
