"""Synthetic payload families: made from a seed, the same bytes on every machine."""
