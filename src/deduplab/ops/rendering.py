"""What renders a pipeline: its templates, and how text is written in YAML."""

from __future__ import annotations

import re
from typing import Final

import jinja2

import deduplab

_PLAIN: Final = re.compile(r"[A-Za-z./$][\w./=,+$ -]*")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def environment() -> jinja2.Environment:
    """Return what fills the templates; no name may be missing."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("deduplab.ops"),
        autoescape=False,  # noqa: S701 - no HTML: `scalar` and shlex quote what needs it
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"scalar": scalar, "item": item}
    made.globals["version"] = deduplab.__version__
    return made


def item(text: str) -> str:
    """Write text as an item of a list of commands, four columns in: as it is, whatever is in it."""
    if _is_plain(text):
        return f"    - {text}"
    return f"    - |-\n      {text}"


def scalar(text: str) -> str:
    """Write text as a YAML scalar on one line: plain where that is safe, else in single quotes."""
    if _is_plain(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _is_plain(text: str) -> bool:
    """Whether YAML reads text that stands there by itself as this text."""
    means_more = text.lower() in _WORDS or text.endswith(" ")
    return bool(_PLAIN.fullmatch(text)) and not means_more
