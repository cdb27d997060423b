"""What ``deduplab scan`` does between its options and its output: opens, foretells, scans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from deduplab.bound.grains import ALL_GRAINS, kind
from deduplab.bound.scan import (
    DISTINCT_OBJECT_BYTES,
    ScanSettings,
    exact_memory_bytes,
    sampled_memory_bytes,
    total_bytes,
)
from deduplab.bound.sketch import Sketch
from deduplab.bound.sources.files import FileSource
from deduplab.bound.stream import Source
from deduplab.errors import DatasetError, PlanError
from deduplab.units import GIB, MIB, format_bytes, format_seconds

if TYPE_CHECKING:
    from deduplab.bound.planted import Payloads

_GROUPS: Final = {"fixed": "fixed", "cdc": "content-defined"}
_PLAIN_EVERY_S: Final = 10.0
_DRAWN_EVERY_S: Final = 0.1
_BATCH_BYTES: Final = 8 * MIB


def grains_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the grains that were named: all without a name; ``fixed`` and ``cdc`` are groups."""
    found: list[str] = []
    for name in names:
        group = [grain for grain in ALL_GRAINS if kind(grain) == _GROUPS.get(name)]
        found += group or [name]
    return tuple(found) if names else ALL_GRAINS


def share_of(text: str | None) -> float | None:
    """Read a share such as ``1/64`` or ``0.015625``.

    Raises
    ------
    PlanError
        If it is not a number.
    """
    if text is None:
        return None
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError) as error:
        raise PlanError(f"--sample {text!r} is not a share; write it like 1/64") from error


class Note(NamedTuple):
    """Something to say beside the result; a warning where it should be seen."""

    text: str
    is_warning: bool = False


def foretold(sources: Sequence[Source], settings: ScanSettings) -> Iterator[Note]:
    """Yield what is to be said of the memory that a scan may take, before it begins."""
    if settings.sample is not None:
        most = format_bytes(sampled_memory_bytes(settings.grains))
        yield Note(f"sampled: at most {most} of memory for each stream, whatever its length")
        return
    logical_bytes = total_bytes(sources)
    if logical_bytes is None:
        need = format_bytes(exact_memory_bytes(GIB, settings.grains))
        yield Note(
            f"exact: at most about {need} of memory for each GiB of distinct data in objects of "
            f"64 KiB; smaller ones, such as rows and values, take {DISTINCT_OBJECT_BYTES} bytes "
            "each at a grain; --sample 1/64 takes little, whatever the length"
        )
        return
    need_bytes = exact_memory_bytes(logical_bytes, settings.grains)
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


@contextmanager
def shown_progress(
    stream: TextIO, what: str, expected_bytes: int | None
) -> Iterator[Callable[[int], None]]:
    """Show rate and time left: a live bar on a terminal, a line every ten seconds elsewhere."""
    if not stream.isatty():
        yield _PlainProgress(stream, expected_bytes).advance
        return
    from rich.console import Console  # late, as most of a short scan is its start

    from deduplab.cli.byte_bar import byte_bar

    # No thread that draws: while one runs, processes that scan can't be forked.
    bar = byte_bar(Console(file=stream), auto_refresh=False)
    with bar:
        task = bar.add_task(what, total=expected_bytes)
        drawn = time.monotonic()

        def advance(done_bytes: int) -> None:
            nonlocal drawn
            now = time.monotonic()
            bar.update(task, advance=done_bytes, refresh=now - drawn >= _DRAWN_EVERY_S)
            if now - drawn >= _DRAWN_EVERY_S:
                drawn = now

        yield advance


class _PlainProgress:
    """Lines instead of a bar, for logs."""

    def __init__(self, stream: TextIO, expected_bytes: int | None) -> None:
        self._stream = stream
        self._expected_bytes = expected_bytes
        self._done_bytes = 0
        self._began = self._last = time.monotonic()

    def advance(self, done_bytes: int) -> None:
        self._done_bytes += done_bytes
        now = time.monotonic()
        if now - self._last < _PLAIN_EVERY_S:
            return
        self._last = now
        rate = self._done_bytes / (now - self._began)
        left = ""
        if self._expected_bytes and rate:
            left_s = max(0, self._expected_bytes - self._done_bytes) / rate
            left = f" of {format_bytes(self._expected_bytes)}, {format_seconds(left_s)} left"
        self._stream.write(
            f"{format_bytes(self._done_bytes)} scanned{left}, {rate / 1e6:.0f} MB/s\n"
        )
        self._stream.flush()


def saved_or_scanned(text: str, scanned: Callable[[str], Sketch]) -> Sketch:
    """Return the sketch that a file holds, or that of a source."""
    from deduplab.bound.sketch_file import MAGIC

    path = Path(text)
    try:
        if path.is_file():
            with path.open("rb") as file:
                is_sketch = file.read(len(MAGIC)) == MAGIC
            if is_sketch:
                return Sketch.load(path)
    except OSError as error:
        raise PlanError(f"{text!r} can't be read: {error.strerror}") from error
    return scanned(text)


def planted_payloads(text: str) -> Payloads:
    """Return what ``--planted`` names: a directory of ``data make``, or a specification.

    Raises
    ------
    PlanError
        If it is neither.
    DatasetError
        If the directory is not whole.
    """
    from deduplab import dataset_file
    from deduplab.datasets import build_dataset
    from deduplab.datasets.export import OBJECTS_NAME, read_manifest

    path = Path(text)
    if path.is_dir():
        read_manifest(path)
        return lambda: _file_payloads(path / OBJECTS_NAME)
    if not path.is_file():
        raise PlanError(
            f"--planted {text!r} is not there; name a directory that 'deduplab data make' "
            "wrote, or the TOML file that it was made from"
        )
    dataset = build_dataset(dataset_file.load(path))
    return lambda: (
        payload for batch in dataset.batches(_BATCH_BYTES) for payload in batch.payloads
    )


def _file_payloads(objects: Path) -> Iterator[bytes]:
    source = FileSource(str(objects))
    waiting = bytearray()
    for block in source.blocks():
        bounds = block.offsets.tolist()
        for place, (begin, end) in enumerate(pairwise(bounds)):
            waiting += block.data[begin:end]
            if place < len(bounds) - 2 or not block.continues:
                yield bytes(waiting)
                waiting.clear()
    if source.left_out:
        first = source.left_out[0]
        raise DatasetError(f"a planted object can't be used: {first.name}: {first.reason}")
