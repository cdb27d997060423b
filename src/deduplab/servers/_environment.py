"""Environments: what a server's process is told by ours, what its keeper, and what a client.

A server gets a few variables by name and no others: those of our environment hold secrets of other
systems (``secret = "env:LAB_PASSWORD"`` in a plan), and settings that would change what it does.
The keeper of a server gets these and our own settings, by which recipes find programs; by name
too, since what begins like a setting (``secret = "env:DEDUPLAB_MY_SECRET"``) may be a secret.
A client that somebody uses by hand gets the environment that he works in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

OUR_SETTINGS: Final = (
    *("DEDUPLAB_CACHE", "DEDUPLAB_RUNS", "DEDUPLAB_WORKSPACE", "DEDUPLAB_NATIVE"),
    "DEDUPLAB_SINKS",
    *("DEDUPLAB_POSTGRESQL_BIN", "DEDUPLAB_MARIADB_BIN", "DEDUPLAB_REDIS_SERVER"),
    *("DEDUPLAB_VALKEY_SERVER", "DEDUPLAB_KAFKA_LIBS", "DEDUPLAB_MINIO", "DEDUPLAB_WEED"),
    "DEDUPLAB_NATS_SERVER",
)
"""Every variable that deduplab itself reads; a test compares this with its modules."""

_LOCALE: Final = tuple(  # locale(7)
    f"LC_{category}"
    for category in (
        *("ALL", "ADDRESS", "COLLATE", "CTYPE", "IDENTIFICATION", "MEASUREMENT", "MESSAGES"),
        *("MONETARY", "NAME", "NUMERIC", "PAPER", "TELEPHONE", "TIME"),
    )
)
_FOR_SERVERS: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR"),
    *("LANG", "LANGUAGE", "TZ", "TZDIR", *_LOCALE),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "JAVA_HOME", "PYTHONPATH"),
)
_PYTHON: Final = (  # where its modules are, and how it reads, writes and warns
    *("PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONPLATLIBDIR"),
    *("PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
    *("PYTHONUTF8", "PYTHONCOERCECLOCALE", "PYTHONIOENCODING", "PYTHONUNBUFFERED"),
    *("PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONFAULTHANDLER", "PYTHONHASHSEED"),
)
_FOR_KEEPERS: Final = (*_FOR_SERVERS, "XDG_CACHE_HOME", *_PYTHON, *OUR_SETTINGS)


def server_environment(**added: str) -> Mapping[str, str]:
    """Return what a server's process is told: where things are, the language, the time zone."""
    return {**_kept(_FOR_SERVERS), **added}


def keeper_environment() -> Mapping[str, str]:
    """Return what a keeper is told: what a server is, and how Python and deduplab are set."""
    return _kept(_FOR_KEEPERS)


def environment_without(*prefixes: str, **added: str) -> Mapping[str, str]:
    """Return our environment without variables that would change what a product's client does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {**kept, **added}


def _kept(names: tuple[str, ...]) -> dict[str, str]:
    """Return the variables of our environment that have these names."""
    return {name: os.environ[name] for name in names if name in os.environ}
