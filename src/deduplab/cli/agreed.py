"""Asking before something is deleted."""

from __future__ import annotations

import click

from deduplab.errors import PlanError


def agreed(question: str) -> bool:
    """Ask, and return whether somebody said yes.

    Raises
    ------
    PlanError
        If nobody is there to answer.
    """
    try:
        return click.confirm(question)
    except click.Abort as error:
        if isinstance(error.__context__, EOFError):
            raise PlanError("nobody answered, so nothing is deleted; see --yes") from error
        raise
