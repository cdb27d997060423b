"""From what a sketch holds of one grain to what is published of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from deduplab.bound.grains import GRAINS, WHOLE, kind
from deduplab.bound.histogram import LogHistogram, octaves
from deduplab.bound.results import Bin, Distances, GrainResult, SamplingError, Sizes
from deduplab.bound.table import ChunkTable, Column

if TYPE_CHECKING:
    from deduplab.bound.sketch import GrainSketch

_PERCENTILES: Final = (1, 10, 25, 50, 75, 90, 99)
_COUNTED_APART: Final = 16
_QUANTILE_95: Final = 1.959964


def summarize(name: str, sketch: GrainSketch) -> GrainResult:
    """Return what is known of one grain."""
    table, halvings = sketch.table, sketch.halvings or 0
    # Estimates of a sample never say more than what is there.
    unique_bytes = min(table.unique_bytes << halvings, sketch.logical_bytes)
    return GrainResult(
        grain=name,
        kind=kind(name),
        size_bytes=None if name == WHOLE else GRAINS[name].size_bytes,
        logical_bytes=sketch.logical_bytes,
        unique_bytes=unique_bytes,
        ratio=sketch.logical_bytes / unique_bytes if unique_bytes else None,
        chunks=sketch.chunks,
        unique_chunks=min(len(table) << halvings, sketch.chunks),
        copies=_copies(table.counts, 1 << halvings),
        sizes=_sizes(table, 1 << halvings),
        distances=_distances(sketch.distances),
        compression=[] if sketch.compression is None else sketch.compression.result(),
        error=None if sketch.halvings is None else _error(sketch, sketch.halvings),
    )


def relative_standard_error(lengths: Column, halvings: int) -> float | None:
    """Return the relative standard error of a sum of lengths from a sample of p = 2^-halvings.

    sqrt((1 - p) / (p U) (1 + cv^2)), where the sample has p U chunks and cv is the
    coefficient of variation of their lengths (Horvitz and Thompson, with chunks
    that are in the sample independently of each other).

    Returns
    -------
    float or None
        0 if all are in the sample; None if it has none.
    """
    if halvings == 0:
        return 0.0
    effective = _effective_chunks(lengths)
    return math.sqrt((1 - 2.0**-halvings) / effective) if effective else None


def _error(sketch: GrainSketch, halvings: int) -> SamplingError:
    least, greatest = _interval_bytes(sketch.table, halvings, sketch.logical_bytes)
    return SamplingError(
        p=2.0**-halvings,
        sampled_chunks=len(sketch.table),
        relative_standard_error=relative_standard_error(sketch.table.lengths, halvings),
        unique_bytes_interval=(least, greatest),
        ratio_interval=(
            sketch.logical_bytes / greatest if greatest else 1.0,
            sketch.logical_bytes / least if least else None,
        ),
    )


def _interval_bytes(table: ChunkTable, halvings: int, logical_bytes: int) -> tuple[int, int]:
    """Return the limits of the unique bytes, with a confidence of 95 %.

    The sum of the sample counts like a Poisson number of n = (sum l)^2 / sum l^2
    equal chunks. Its limits are those of E. B. Wilson and M. M. Hilferty (1931),
    which hold for small n too; 1 - p is the variance that is left of it.
    """
    sampled_bytes = table.unique_bytes
    if halvings == 0:
        return sampled_bytes, sampled_bytes
    effective = _effective_chunks(table.lengths)
    if not effective:
        return 0, logical_bytes
    quantile = _QUANTILE_95 * math.sqrt(1 - 2.0**-halvings)
    above = effective + 1
    low = 1 - 1 / (9 * effective) - quantile / (3 * math.sqrt(effective))
    high = 1 - 1 / (9 * above) + quantile / (3 * math.sqrt(above))
    scale_bytes = (sampled_bytes << halvings) / effective
    least = effective * max(low, 0.0) ** 3 * scale_bytes
    greatest = above * high**3 * scale_bytes
    # What is in the sample is there.
    least_bytes = min(max(int(least), sampled_bytes), logical_bytes)
    return least_bytes, min(math.ceil(greatest), logical_bytes)


def _effective_chunks(lengths: Column) -> float:
    """Return n / (1 + cv^2): as many chunks of equal length would vary as much."""
    if not len(lengths):
        return 0.0
    sizes = lengths.astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def _copies(counts: Column, weight: int) -> list[Bin]:
    """Return the number of payloads by how often they are there: 1 to 15 apart, then octaves."""
    few = np.bincount(counts[counts < _COUNTED_APART].astype(np.int64), minlength=_COUNTED_APART)
    apart = [Bin(count, count, int(few[count]) * weight) for count in np.flatnonzero(few).tolist()]
    return apart + octaves(counts[counts >= _COUNTED_APART], weight)


def _sizes(table: ChunkTable, weight: int) -> Sizes | None:
    if not len(table):
        return None
    lengths = table.lengths.astype(np.float64)
    mean = float(lengths.mean())
    values = np.percentile(table.lengths, _PERCENTILES, method="inverted_cdf")
    return Sizes(
        mean_bytes=mean,
        cv=float(lengths.std()) / mean,
        percentiles_bytes={
            f"p{percent}": int(value)
            for percent, value in zip(_PERCENTILES, values.tolist(), strict=True)
        },
        histogram_bytes=octaves(table.lengths, weight),
    )


def _distances(histogram: LogHistogram) -> Distances:
    return Distances(
        copies=histogram.total,
        median_bytes=histogram.median(),
        histogram_bytes=histogram.octaves(),
    )
