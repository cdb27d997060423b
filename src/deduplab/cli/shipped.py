"""The plans and examples that come with deduplab, wherever it was installed and is called."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

import deduplab

PLANS: Final = "plans"
_FOLDERS: Final = (PLANS, "examples")


def folder(name: str) -> Path:
    """Return where a folder of them lies: in the package, or in the checkout around it."""
    package = Path(deduplab.__file__).parent
    in_package = package / name
    return in_package if in_package.is_dir() else package.parents[1] / name


def here_or_shipped(context: click.Context, argument: click.Parameter, path: Path) -> Path:
    """Return the path; where ``plans/quick.toml`` is not, the one that came with deduplab.

    That is said, and only files named in exactly this way are meant, as the help names them.
    """
    if path.parent.name not in _FOLDERS or len(path.parts) != 2 or path.exists():
        return path
    ours = folder(path.parent.name) / path.name
    if not ours.is_file():
        return path
    click.echo(f"{path} is not here: taking the one that came with deduplab, {ours}", err=True)
    return ours
