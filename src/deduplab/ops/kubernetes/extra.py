"""The extra of deduplab that all this needs."""

from __future__ import annotations

from deduplab.errors import SystemUnavailable


def missing(error: ImportError) -> SystemUnavailable:
    """Word the error of a library that can't be imported."""
    return SystemUnavailable(
        f"what talks to Kubernetes can't be imported ({error}); install it with: "
        "pip install 'deduplab[kubernetes]'"
    )
