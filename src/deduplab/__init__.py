"""deduplab: where redundant bytes go in a system that holds data, and what a copy costs."""

__version__ = "0.1.0"
