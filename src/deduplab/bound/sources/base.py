"""What all sources share: the size of a block, what was left out, drivers."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from deduplab.bound.stream import LeftOut, Source
from deduplab.optional_module import optional_module
from deduplab.units import KIB, MIB

NATURAL: Final = "natural"
"""The order in which a source gives its rows by itself."""

PAGE_BYTES: Final = 64 * KIB
"""The length of a run of a column's values, unless said."""

STANDARD_INPUT: Final = "-"
"""The name of standard input among sources."""

BLOCK_BYTES: Final = MIB
"""Sources hand out blocks of about this many bytes: they stay in a core's second-level cache."""


class ScanSource(Source):
    """A source with a name and a list of what it left out.

    Parameters
    ----------
    name
        What a person calls it; never holds a secret.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.left_out: list[LeftOut] = []

    def leave_out(self, name: str, reason: str) -> None:
        """Note that something could not be read, with the reason in a sentence."""
        self.left_out.append(LeftOut(name, reason))


def driver(module: str, extra: str, what: str) -> ModuleType:
    """Import the module that reads a kind of source, late.

    Parameters
    ----------
    module
        The module's name.
    extra
        The extra of deduplab that installs it.
    what
        What is to be read, for the message.

    Raises
    ------
    SystemUnavailable
        If it can't be imported; the message says what to install.
    """
    return optional_module(module, extra, f"{what} can't be read")


def words_of(error: BaseException) -> str:
    """Return what an error says in one line of at most 300 characters, or else its kind."""
    said = str(error)
    match error.args:
        case (int(code), str(words)) if not isinstance(error, OSError):
            said = f"{words} ({code})"  # as drivers of MySQL's protocol raise it
    said = " ".join(said.split()) or type(error).__name__
    return said if len(said) <= 300 else said[:297] + "..."
