"""What still lies twice in a system's own files, and how many copies of what was stored.

It reads the files and never writes to them. Of a system that is at rest the figures are
exact; a file that changes meanwhile is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deduplab.bound.account import by_design
from deduplab.bound.grains import CDC_8192, FIXED_4096, FIXED_8192, FIXED_131072
from deduplab.bound.planted import Payloads, PlantedCopies, PlantedProbes
from deduplab.bound.scan import Progress, ScanSettings, scan, scan_sources
from deduplab.bound.sketch import Sketch
from deduplab.bound.sources.files import FileSource
from deduplab.bound.stream import Block
from deduplab.datasets import Dataset
from deduplab.errors import PlanError
from deduplab.model import OnDiskReading, Ruler
from deduplab.probes.files import DIRECTORIES, FilesProbe

CELL_GRAINS: Final = (FIXED_4096, FIXED_8192, FIXED_131072, CDC_8192)
"""The grains at which a cell's files are scanned: usual blocks of volumes, and chunks."""

_BATCH_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What a directory of files holds.

    Attributes
    ----------
    directory
        Where the files lie.
    apparent_bytes, allocated_bytes
        Sums of the files' st_size and of their st_blocks * 512; where holes were punched,
        they are read as zeros, and count as redundant bytes in the scan.
    sketch
        The files, each one object, at every grain: what a deduplicating volume below
        could still save.
    planted
        How many physical copies of known payloads the files hold; None if none were given.
    """

    directory: str
    apparent_bytes: int
    allocated_bytes: int
    sketch: Sketch
    planted: PlantedCopies | None


def scan_directory(
    directory: Path,
    settings: ScanSettings,
    planted: Payloads | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> OnDisk:
    """Scan a system's files, in one pass.

    Parameters
    ----------
    directory
        The data directory; better of a system that is at rest, or stopped.
    settings
        Grains, exact or sampled, with or without compression.
    planted
        Gives the payloads that were stored, each object's, twice in a row; or None.
    processes
        How many read; payloads are sought by one.
    progress
        Called with the bytes read since the last call.

    Raises
    ------
    PlanError
        If there is no such directory.
    ProbeError
        If the directory can't be read.
    """
    if not directory.is_dir():
        raise PlanError(
            f"{str(directory)!r} is not a directory; name the one that holds a system's files"
        )
    lengths = {
        # Directories have a length too, but it is no part of what is scanned.
        one.ruler: one.total_bytes - one.components.get(DIRECTORIES, 0)
        for one in FilesProbe(directory).measure()
    }
    found = None
    if planted is None:
        sketch = scan_sources([FileSource(str(directory))], settings, processes, None, progress)
    else:
        source = _Searched(directory, PlantedProbes(planted))
        sketch = scan(source, settings, progress)
        found = source.probes.result()
    return OnDisk(
        directory=str(directory),
        apparent_bytes=lengths[Ruler.APPARENT],
        allocated_bytes=lengths[Ruler.ALLOCATED],
        sketch=sketch,
        planted=found,
    )


def read_on_disk(directory: Path, dataset: Dataset) -> OnDiskReading:
    """Scan the files of a system that holds a dataset, for the result of a cell.

    The page cache is warm with these files afterwards.
    """

    def payloads() -> Iterator[bytes]:
        for batch in dataset.batches(_BATCH_BYTES):
            yield from batch.payloads

    found = scan_directory(directory, ScanSettings(grains=CELL_GRAINS, compress=False), payloads)
    result = found.sketch.result()
    assert found.planted is not None
    return OnDiskReading(
        apparent_bytes=result.logical_bytes,
        grain_unique_bytes={one.grain: int(one.unique_bytes) for one in result.grains},
        planted_stored=found.planted.planted,
        planted_found=found.planted.found,
        left_out=sum(not by_design(one) for one in result.left_out),
    )


class _Searched(FileSource):
    """Files that are searched for planted payloads while they are scanned."""

    def __init__(self, directory: Path, probes: PlantedProbes) -> None:
        super().__init__(str(directory))
        self.probes = probes

    def blocks(self) -> Iterator[Block]:
        """Read every file once, and search what is read."""
        for block in super().blocks():
            begin, end = int(block.offsets[0]), int(block.offsets[-1])
            self.probes.feed(block.data[begin:end])
            yield block
