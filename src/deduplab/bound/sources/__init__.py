"""Sources: where a scan reads its objects. One kind a module; ``catalogue`` chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deduplab.bound.sources.catalogue import SCHEMES, open_source
    from deduplab.bound.sources.file_kinds import FORMATS

__all__ = ["FORMATS", "SCHEMES", "open_source"]


def __getattr__(name: str) -> Any:
    # Late: who names one kind of source does without what chooses among all.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from deduplab.bound.sources import catalogue

    return getattr(catalogue, name)
