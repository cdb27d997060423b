"""From what a sketch holds of one grain to what is published of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from deduplab.bound.figures import PERCENTS, Figures, octaves
from deduplab.bound.grains import GRAINS, WHOLE, kind
from deduplab.bound.results import Distances, GrainResult, SamplingError, Sizes

if TYPE_CHECKING:
    from deduplab.bound.histogram import LogHistogram
    from deduplab.bound.sketch import GrainSketch

QUANTILE_95: Final = 1.959964


def summarize(name: str, sketch: GrainSketch) -> GrainResult:
    """Return what is known of one grain."""
    figures, halvings = sketch.rows.figures(), sketch.halvings or 0
    # Estimates of a sample never say more than what is there.
    unique_bytes = min(figures.unique_bytes << halvings, sketch.logical_bytes)
    return GrainResult(
        grain=name,
        kind=kind(name),
        size_bytes=_size_bytes(name),
        logical_bytes=sketch.logical_bytes,
        unique_bytes=unique_bytes,
        ratio=sketch.logical_bytes / unique_bytes if unique_bytes else None,
        chunks=sketch.chunks,
        unique_chunks=min(figures.unique_chunks << halvings, sketch.chunks),
        copies=figures.copies_bins(1 << halvings),
        sizes=_sizes(figures, 1 << halvings),
        distances=_distances(sketch.distances),
        compression=[]
        if sketch.compression is None
        else sketch.compression.result(sketch.logical_bytes),
        error=None if sketch.halvings is None else _error(figures, sketch, sketch.halvings),
    )


def of_grain(name: str, result: GrainResult) -> GrainResult:
    """Return the same for another grain, which shares its sketch."""
    return result._replace(grain=name, kind=kind(name), size_bytes=_size_bytes(name))


def relative_standard_error(figures: Figures, halvings: int) -> float | None:
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
    effective = figures.effective_chunks
    return math.sqrt((1 - 2.0**-halvings) / effective) if effective else None


def _size_bytes(name: str) -> int | None:
    return None if name == WHOLE else GRAINS[name].size_bytes


def _error(figures: Figures, sketch: GrainSketch, halvings: int) -> SamplingError:
    least, greatest = _interval_bytes(figures, halvings, sketch.logical_bytes)
    return SamplingError(
        p=2.0**-halvings,
        sampled_chunks=figures.unique_chunks,
        relative_standard_error=relative_standard_error(figures, halvings),
        unique_bytes_interval=(least, greatest),
        ratio_interval=(
            sketch.logical_bytes / greatest if greatest else 1.0,
            sketch.logical_bytes / least if least else None,
        ),
    )


def _interval_bytes(figures: Figures, halvings: int, logical_bytes: int) -> tuple[int, int]:
    """Return the limits of the unique bytes, with a confidence of 95 %.

    The sum of the sample counts like a Poisson number of n = (sum l)^2 / sum l^2
    equal chunks. Its limits are those of E. B. Wilson and M. M. Hilferty (1931),
    which hold for small n too; 1 - p is the variance that is left of it.
    """
    sampled_bytes = figures.unique_bytes
    if halvings == 0:
        return sampled_bytes, sampled_bytes
    effective = figures.effective_chunks
    if not effective:
        return 0, logical_bytes
    quantile = QUANTILE_95 * math.sqrt(1 - 2.0**-halvings)
    above = effective + 1
    low = 1 - 1 / (9 * effective) - quantile / (3 * math.sqrt(effective))
    high = 1 - 1 / (9 * above) + quantile / (3 * math.sqrt(above))
    scale_bytes = (sampled_bytes << halvings) / effective
    least = effective * max(low, 0.0) ** 3 * scale_bytes
    greatest = above * high**3 * scale_bytes
    # What is in the sample is there.
    least_bytes = min(max(int(least), sampled_bytes), logical_bytes)
    return least_bytes, min(math.ceil(greatest), logical_bytes)


def _sizes(figures: Figures, weight: int) -> Sizes | None:
    chunks, total_bytes = figures.unique_chunks, figures.unique_bytes
    if not chunks:
        return None
    percentiles = zip(PERCENTS, figures.percentiles_bytes, strict=True)
    return Sizes(
        mean_bytes=total_bytes / chunks,
        # From whole numbers, which lose nothing: n times the sum of squares, less the squared sum.
        cv=math.sqrt(chunks * figures.squares - total_bytes**2) / total_bytes,
        percentiles_bytes={f"p{percent}": length for percent, length in percentiles},
        histogram_bytes=octaves(figures.lengths, weight),
    )


def _distances(histogram: LogHistogram) -> Distances:
    return Distances(
        copies=histogram.total,
        median_bytes=histogram.median(),
        histogram_bytes=histogram.octaves(),
    )
