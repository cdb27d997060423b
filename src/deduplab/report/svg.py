"""Figures as inline SVG: one drawing board for all, reproducible, without references outside."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers too
PALETTE: Final = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#555555",
)  # fmt: skip
INK: Final = "#1c2430"
MUTED: Final = "#5b6675"
_STYLE: Final = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": "#9aa4b1",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e3e7ec",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
_HEAD: Final = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA: Final = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACES: Final = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
_GROUP_IDS: Final = re.compile(r'<g id="[^"]*"')
_FIXED_SIZE: Final = re.compile(r'<svg\b[^>]*?viewBox="([^"]+)"[^>]*>')


@contextmanager
def board(width_in: float, height_in: float, *, fitted: bool = True) -> Iterator[Figure]:
    """Give an empty figure in the house style; ``fitted`` makes room for all labels."""
    with matplotlib.rc_context(rc=_style()):
        yield Figure(figsize=(width_in, height_in), layout="constrained" if fitted else None)


def inline(figure: Figure, name: str, description: str) -> Markup:
    """Return a figure as an SVG element that scales with its container.

    ``name`` makes the ids in it unlike those of other figures; equal figures
    of equal names are equal text.
    """
    target = io.StringIO()
    with matplotlib.rc_context(rc=_style(**{"svg.hashsalt": name})):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(target, format="svg", metadata=nothing, transparent=True)
    text = _METADATA.sub("", _HEAD.sub("", target.getvalue()))
    # An SVG element inside HTML needs no namespaces, and group ids would repeat between figures.
    text = _GROUP_IDS.sub("<g", _NAMESPACES.sub("", text))
    opening = Markup('<svg viewBox="{box}" role="img" aria-label="{label}">')

    def resized(match: re.Match[str]) -> str:
        return str(opening.format(box=match.group(1), label=description))

    return Markup(_FIXED_SIZE.sub(resized, text, count=1))  # noqa: S704  (drawn here, not read)


def _style(**more: str) -> Any:
    """Return the house style; typed loosely, as matplotlib wants its names as literals."""
    return {**_STYLE, **more}
