"""The standard streams: closed ones are opened, and every character can be written."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import Final

_PRINTABLE: Final = "deduplab-printable"
_OF_PYTHON: Final = ("strict", "surrogateescape")  # the latter in the locales C and POSIX
# What is said with signs that a terminal in ASCII or Latin-1 does not have, said without them.
_PLAIN: Final = {"–": "-", "—": "-", "−": "-", "×": "x", "±": "+/-", "µ": "u", "…": "..."}
# What Python makes of bytes that can't be decoded (PEP 383).
_FIRST_BYTE: Final = 0xDC80
_LAST_BYTE: Final = 0xDCFF


def prepare() -> None:
    """Open the standard streams that are closed, and let no character be an error."""
    _open_closed()
    codecs.register_error(_PRINTABLE, _plain)
    # Whoever chose another way, by PYTHONIOENCODING, has it.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in _OF_PYTHON:
        sys.stdout.reconfigure(errors=_PRINTABLE)


def _open_closed() -> None:
    """Let a standard stream that was closed, as by ``>&-``, be ``/dev/null``.

    Python has None for it, and the next file that is opened would get its number: what a
    child writes to its output would end in there.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, so it is this one.
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115
            os.set_inheritable(number, True)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write a character that the encoding does not have by another sign, or by its number."""
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    if _FIRST_BYTE <= ord(character) <= _LAST_BYTE:  # in a file's name that is no text
        return bytes([ord(character) - _FIRST_BYTE + 0x80]), error.start + 1
    numbered = character.encode("ascii", "backslashreplace").decode("ascii")
    return _PLAIN.get(character, numbered), error.start + 1
