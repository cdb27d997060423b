"""Sources: where a scan reads its objects. One kind a module; ``catalogue`` chooses."""

from deduplab.bound.sources.catalogue import FORMATS, SCHEMES, open_source

__all__ = ["FORMATS", "SCHEMES", "open_source"]
