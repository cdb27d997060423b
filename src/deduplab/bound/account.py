"""The account of a scan: everything that is said of it, on the screen, on a page, as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from deduplab.bound.columns import CODEC, all_columns, column_bounds
from deduplab.bound.grains import kind
from deduplab.bound.results import Distances, GrainResult, ScanResult, plain
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sketch import GrainSketch, Sketch
from deduplab.bound.sources.tree import FURTHER_LINK, SPECIAL_FILE, SYMBOLIC_LINK
from deduplab.bound.stream import LeftOut
from deduplab.bound.stream_scan import cutter_name
from deduplab.bound.summary import QUANTILE_95

if TYPE_CHECKING:
    from deduplab.bound.planted import PlantedCopies

FORMAT: Final = "deduplab scan 1"
_FEW_CHUNKS: Final = 30
_BY_DESIGN: Final = (FURTHER_LINK, SPECIAL_FILE, SYMBOLIC_LINK)


@dataclass(frozen=True, slots=True)
class FilesOnDisk:
    """A system's files: where they lie, what they take, and the copies that they hold."""

    directory: str
    apparent_bytes: int
    allocated_bytes: int
    planted: PlantedCopies | None


@dataclass(frozen=True, slots=True)
class Account:
    """A scan, with how it was made.

    Attributes
    ----------
    sketch
        What was kept of the scan.
    settings
        What was asked for; None for merged sketches, which may have been asked for
        different things.
    orders
        By order of rows: the columns' scan in pages of values, where several were asked for.
    page_bytes
        The length of those pages; None where an object is a value.
    on_disk
        What else is known where a system's files were scanned.
    command
        The command line that made it.
    duration_s
        Wall-clock seconds of reading and counting; None for merged sketches.
    processes
        How many processes read.
    """

    sketch: Sketch
    result: ScanResult
    settings: ScanSettings | None = None
    orders: dict[str, ScanResult] = field(default_factory=dict)
    page_bytes: int | None = None
    on_disk: FilesOnDisk | None = None
    command: str = ""
    duration_s: float | None = None
    processes: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def unread(self) -> list[LeftOut]:
        """What should have been read and could not be."""
        return [one for one in self.left_out if not by_design(one)]

    @property
    def left_out(self) -> list[LeftOut]:
        """All that was left out; what only the scan in another order met bears the order's name."""
        known = set(self.result.left_out)
        further = [
            LeftOut(f"{one.name} ({order})", one.reason)
            for order, result in self.orders.items()
            for one in result.left_out
            if one not in known
        ]
        return [*self.result.left_out, *further]


def by_design(left_out: LeftOut) -> bool:
    """Tell whether something was left out on purpose: links, and what is no regular file."""
    return left_out.reason in _BY_DESIGN


def few_sampled(grains: Sequence[GrainResult]) -> list[str]:
    """Return the grains with too few chunks in the sample to know from them how lengths vary.

    Then the error, which is estimated from the same chunks, can be far too small.
    """
    return [
        one.grain
        for one in grains
        if one.error is not None and one.error.p < 1 and one.error.sampled_chunks < _FEW_CHUNKS
    ]


def compression_error(grains: Sequence[GrainResult]) -> str:
    """Say how far the ratios of compressors may be off, which are found from samples.

    Returns
    -------
    str
        The half width of 95 % intervals at the grain where it is least, and where it is
        greatest, of unique chunks and of all; nothing if all chunks were compressed.
    """
    unique: list[tuple[float, str]] = []
    of_all: list[tuple[float, str]] = []
    single: list[str] = []
    for grain in grains:
        sampled = [one for one in grain.compression if not one.complete]
        if not sampled:
            continue
        errors = [one.relative_standard_error for one in sampled]
        if None in errors:
            single.append(grain.grain)
            continue
        unique.append((_half_width(errors), grain.grain))
        errors = [one.all_relative_standard_error for one in sampled]
        if None not in errors:
            of_all.append((_half_width(errors), grain.grain))
    said = [f"from samples, {_ends(unique)} on unique chunks"] if unique else []
    if of_all:
        said.append(f"{_ends(of_all)} on all")
    said = [f"{', '.join(said)}, 95 %"] if said else []
    if single:
        said.append(f"one chunk is in the sample at {', '.join(single)}")
    return "; ".join(said)


def unknown_compression(grains: Sequence[GrainResult]) -> str:
    """Say where it is not known what compressors make of all chunks; nothing if it is."""
    unknown = [
        grain.grain for grain in grains if any(one.all_ratio is None for one in grain.compression)
    ]
    if not unknown:
        return ""
    return (
        f"not known on all chunks at {', '.join(unknown)}: few chunks that are there very often, "
        "zeros perhaps, are much of the data, and the sample does not stand for them"
    )


def _half_width(errors: Sequence[float | None]) -> float:
    return QUANTILE_95 * max(error or 0 for error in errors)


def _ends(off: Sequence[tuple[float, str]]) -> str:
    ends = dict.fromkeys([min(off), max(off)])
    return " to ".join(f"±{half_width:.1%} ({name})" for half_width, name in ends)


def found_within(distances: Distances) -> list[tuple[int, float]]:
    """Return what share of the copies a window finds that reaches back so far.

    Returns
    -------
    list of (int, float)
        Upper limits of the distance in bytes, ascending, and the share of all copies whose
        distance is at most that; the copy itself must fit into the window too.
    """
    reached, found = 0, []
    for one in distances.histogram_bytes:
        reached += one.count
        found.append((one.greatest, reached / distances.copies))
    return found


def packed_bytes(grain: GrainResult) -> int | None:
    """Return about what the unique chunks take when zstd at level 3 compresses each; None without.

    Estimated from the sample of chunks that was compressed.
    """
    ratios = [one.unique_ratio for one in grain.compression if one.codec == CODEC]
    return round(grain.unique_bytes / ratios[0]) if ratios else None


def copies_of(sketch: GrainSketch) -> list[tuple[int, int]]:
    """Return pairs (occurrences, chunks): how many distinct chunks are there so often.

    Exact numbers, each once and ascending; the numbers of chunks are estimates where the
    scan was sampled.
    """
    weight = 1 << (sketch.halvings or 0)
    occurrences = Counter(sketch.rows.occurrences())
    return [(number, chunks * weight) for number, chunks in sorted(occurrences.items())]


def document(account: Account) -> dict[str, Any]:
    """Return an account as what JSON is made of. Its shape is told in docs/scan.md."""
    result, sketch = account.result, account.sketch
    streams = {
        name: {
            "objects": stream.objects,
            "logical_bytes": stream.logical_bytes,
            "grains": [_grain(sketch, name, grain) for grain in stream.grains],
        }
        for name, stream in result.streams.items()
    }
    columns = column_bounds(result)
    return {
        "format": FORMAT,
        "sources": result.sources,
        "command": account.command,
        "environment": {**account.environment, **_cutter(account)},
        "duration_s": account.duration_s,
        "processes": account.processes,
        "shards": result.shards,
        "sampled": result.sampled,
        "complete": not account.unread,
        "objects": result.objects,
        "logical_bytes": result.logical_bytes,
        "grains": streams[""]["grains"] if "" in streams else [],
        "page_bytes": account.page_bytes,
        "columns": {name: stream for name, stream in streams.items() if name},
        "all_columns": asdict(all_columns(columns)) if columns else None,
        "orders": {
            order: [asdict(column) for column in column_bounds(one)]
            for order, one in account.orders.items()
        },
        "on_disk": None if account.on_disk is None else asdict(account.on_disk),
        "left_out": [
            {"name": one.name, "reason": one.reason, "by_design": by_design(one)}
            for one in account.left_out
        ],
    }


def _cutter(account: Account) -> dict[str, str]:
    """Return what found the content-defined cuts; of merged sketches it isn't known."""
    if account.settings is None:
        return {}
    content_defined = any(kind(name) == "content-defined" for name in account.settings.grains)
    return {"cutter": cutter_name()} if content_defined else {}


def _grain(sketch: Sketch, stream: str, grain: GrainResult) -> dict[str, Any]:
    found: dict[str, Any] = plain(grain)
    found["copies"] = copies_of(sketch.streams[stream].grains[grain.grain])
    found["distances"]["found_within"] = found_within(grain.distances)
    return found
