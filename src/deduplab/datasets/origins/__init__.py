"""Where real data comes from, how it is fetched, verified and kept."""

from deduplab.cache_folder import cache_folder
from deduplab.datasets.origins.cache import cached
from deduplab.datasets.origins.catalogue import families, origins, origins_of
from deduplab.datasets.origins.fetching import adopt, fetch, fetch_family
from deduplab.datasets.origins.origin import Origin, Package, Progress

__all__ = [
    "Origin",
    "Package",
    "Progress",
    "adopt",
    "cache_folder",
    "cached",
    "families",
    "fetch",
    "fetch_family",
    "origins",
    "origins_of",
]
