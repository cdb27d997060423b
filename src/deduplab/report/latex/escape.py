"""Text as LaTeX shows it, whatever it holds: the result is ASCII, and prints what was given.

It holds for any engine and font encoding, in a paragraph as in the cell of a table. What
standard LaTeX has no sign for stands as its code point, so that it is seen and compiles.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SIGNS: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\ensuremath{\mathdollar}",  # \$ may come from a font that is not there as outlines
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"\textquoteleft{}",
    "'": r"{'}",  # in braces, since two in a row would become one sign
    ",": "{,}",
    "[": "{[}",  # a line of a table that began so would be taken for an option
    "]": "{]}",
    "*": "{*}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "−": r"\ensuremath{-}",
    "…": r"\ldots{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "µ": r"\ensuremath{\mu}",
    "μ": r"\ensuremath{\mu}",
    "η": r"\ensuremath{\eta}",
    "×": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "≠": r"\ensuremath{\neq}",
    "→": r"\ensuremath{\rightarrow}",
    "·": r"\ensuremath{\cdot}",
    "²": r"\ensuremath{^2}",
    "³": r"\ensuremath{^3}",
    "\u00a0": "~",
    "\u202f": r"\,",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}
_ACCENTS: Final = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_HYPHENS: Final = re.compile("(?<=-)-")  # two in a row would become a dash
_BLANKS: Final = re.compile(r"\s+")


def escape(text: str) -> str:
    """Return text for LaTeX; line ends and runs of blanks become one blank."""
    words = _BLANKS.sub(lambda found: found[0] if found[0] in "\u00a0\u202f" else " ", text)
    return _HYPHENS.sub("{-}", "".join(_sign(character) for character in words))


def as_comment(text: str) -> str:
    """Return text for a line behind a per cent sign: one line of printable ASCII."""
    return "".join(
        character if " " <= character <= "~" else f"[U+{ord(character):04X}]"
        for character in _BLANKS.sub(" ", text)
    )


def _sign(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if " " <= character <= "~":
        return character
    apart = unicodedata.normalize("NFD", character)
    if len(apart) == 2 and apart[1] in _ACCENTS and apart[0].isascii() and apart[0].isalpha():
        return rf"\{_ACCENTS[apart[1]]}{{{apart[0]}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"
