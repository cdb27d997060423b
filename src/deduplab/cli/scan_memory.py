"""What is said of the memory that a scan may take, before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from deduplab.bound.memory import (
    DISTINCT_OBJECT_BYTES,
    exact_memory_bytes,
    sampled_memory_bytes,
)
from deduplab.bound.scan import total_bytes
from deduplab.bound.settings import ScanSettings
from deduplab.bound.stream import Source
from deduplab.units import GIB, format_bytes


class Note(NamedTuple):
    """Something to say beside the result; a warning where it should be seen."""

    text: str
    is_warning: bool = False


def foretold(
    sources: Sequence[Source], settings: ScanSettings, processes: int = 1
) -> Iterator[Note]:
    """Yield what is to be said to somebody who is about to scan these sources by processes."""
    if settings.sample is not None:
        most = format_bytes(sampled_memory_bytes(settings))
        each = "each stream" if processes == 1 else "each stream in each process"
        yield Note(f"sampled: at most {most} of memory for {each}, whatever its length")
        return
    logical_bytes = total_bytes(sources)
    if logical_bytes is None:
        need = format_bytes(exact_memory_bytes(GIB, settings, processes=processes))
        yield Note(
            f"exact: at most about {need} of memory for each GiB of distinct data in objects of "
            f"64 KiB; smaller ones, such as rows and values, take {DISTINCT_OBJECT_BYTES} bytes "
            "each at a grain; --sample 1/64 takes little, whatever the length"
        )
        return
    need_bytes = exact_memory_bytes(logical_bytes, settings, processes=processes)
    yield Note(
        f"exact: at most about {format_bytes(need_bytes)} of memory for "
        f"{format_bytes(logical_bytes)} in objects of 64 KiB, less where they repeat"
    )
    free_bytes = _free_bytes()
    if need_bytes > free_bytes:
        yield Note(
            f"that is more than the {format_bytes(free_bytes)} of memory that are free; "
            "with --sample 1/64 it takes little",
            is_warning=True,
        )


def _free_bytes() -> int:
    import psutil  # late, as most of a short scan is its start

    free_bytes: int = psutil.virtual_memory().available
    return free_bytes
