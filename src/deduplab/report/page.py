"""What a page is made of, whatever it tells: its templates, and figures with captions."""

from __future__ import annotations

from dataclasses import dataclass

import jinja2
from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with its caption."""

    caption: str
    svg: Markup


def page_environment() -> jinja2.Environment:
    """Return what fills the templates: all text is escaped, and no name may be missing."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("deduplab.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
