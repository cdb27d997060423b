"""Libraries that not every installation has: imported when they are needed, by name."""

from __future__ import annotations

import importlib
from types import ModuleType

from deduplab.errors import SystemUnavailable


def optional_module(name: str, extra: str, trouble: str) -> ModuleType:
    """Import a module of a library that comes with an extra.

    Parameters
    ----------
    name
        The module's name.
    extra
        The extra of deduplab that installs it.
    trouble
        What can't be done without it, for the message.

    Raises
    ------
    SystemUnavailable
        If it can't be imported; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SystemUnavailable(
            f"{trouble}: {name!r} can't be imported ({error}); "
            f"install it with: pip install 'deduplab[{extra}]'"
        ) from error
