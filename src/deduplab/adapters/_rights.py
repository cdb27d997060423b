"""What is said where a server refuses because the lab's user lacks a right."""

from __future__ import annotations


def advice(system: str) -> str:
    """Return what to do about a right that is missing."""
    return (
        "the user lacks a right that the lab needs: an administrator runs what "
        f"'deduplab systems grants {system}' prints"
    )
