"""What ``deduplab scan`` does between its options and its output: opens, foretells, scans."""

from __future__ import annotations

import errno
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from deduplab.bound.account import Account, FilesOnDisk
from deduplab.bound.results import Comparison
from deduplab.bound.scan import ScanSettings, scan_sources, total_bytes
from deduplab.bound.sketch import Sketch, compare, merge
from deduplab.bound.sources.files import FileSource, count_links_once
from deduplab.bound.stream import Source
from deduplab.cli.scan_memory import foretold
from deduplab.cli.scan_options import ScanOptions
from deduplab.cli.scan_progress import shown_progress
from deduplab.errors import DatasetError, OperationFailed, PlanError

_NO_MEMORY: Final = (
    "there is no memory for what is to be counted, so nothing was; scan with fewer processes, "
    "fewer grains or with --sample"
)


def account_of(options: ScanOptions) -> Account:
    """Do what the options ask for: scan, or put sketches together."""
    if options.merge:
        sketch = merge([Sketch.load(Path(name)) for name in options.sources])
        return Account(sketch, sketch.result(), command=_command_line(), environment=_environment())
    settings = options.settings()
    if options.on_disk is not None:
        return _on_disk(options, options.on_disk, settings)
    sources = [options.opened(text) for text in options.sources]
    count_links_once(sources)
    orders = options.order_sources()
    _foretell(sources, settings, options)
    began = time.perf_counter()
    sketch = _scan(sources, settings, options, "scanning")
    duration_s = time.perf_counter() - began
    return Account(
        sketch,
        sketch.result(),
        settings=settings,
        orders={
            order: _scan(again, settings, options, order).result()
            for order, again in orders.items()
        },
        page_bytes=options.page_bytes(),
        command=_command_line(),
        duration_s=duration_s,
        processes=min(options.processes, sketch.shards),
        environment=_environment(),
    )


def _scan(
    sources: Sequence[Source],
    settings: ScanSettings,
    options: ScanOptions,
    what: str,
) -> Sketch:
    try:
        with shown_progress(sys.stderr, what, total_bytes(sources)) as advance:
            return scan_sources(sources, settings, options.processes, options.dask, advance)
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:
            raise
        raise OperationFailed(_NO_MEMORY) from error


# What only some scans need is imported by them: most of a short scan is its start.
def _on_disk(options: ScanOptions, directory: Path, settings: ScanSettings) -> Account:
    from deduplab.bench.on_disk import scan_directory
    from deduplab.cli.scan_planted import planted_payloads

    planted = planted_payloads(options.planted) if options.planted else None
    expected_bytes = None
    if directory.is_dir():
        files = FileSource(str(directory))
        _foretell([files], settings, options)
        expected_bytes = files.total_bytes()
    began = time.perf_counter()
    with shown_progress(sys.stderr, "scanning", expected_bytes) as advance:
        found = scan_directory(directory, settings, planted, options.processes, advance)
    return Account(
        found.sketch,
        found.sketch.result(),
        settings=settings,
        on_disk=FilesOnDisk(
            found.directory, found.apparent_bytes, found.allocated_bytes, found.planted
        ),
        command=_command_line(),
        duration_s=time.perf_counter() - began,
        processes=min(options.processes, found.sketch.shards),
        environment=_environment(),
    )


def comparison_of(options: ScanOptions, names: tuple[str, str]) -> Comparison:
    """Find what two sketches, or sources, share.

    Raises
    ------
    DatasetError
        If a source could not be read as a whole, and that was not allowed.
    """
    settings = options.settings()

    def scanned(text: str) -> Sketch:
        sketch = _scan([options.opened(text)], settings, options, text)
        account = Account(sketch, sketch.result())
        if account.unread and not options.allow_left_out:
            first = account.unread[0]
            raise DatasetError(
                f"{text!r} could not be read as a whole ({first.name}: {first.reason}), so it "
                "is not compared; --allow-left-out compares the rest"
            )
        return sketch

    first, second = (_saved_or_scanned(name, scanned) for name in names)
    return compare(first, second)


def _foretell(sources: Sequence[Source], settings: ScanSettings, options: ScanOptions) -> None:
    for note in foretold(sources, settings, options.processes):
        click.secho(note.text, err=True, fg="yellow" if note.is_warning else None)


def _saved_or_scanned(text: str, scanned: Callable[[str], Sketch]) -> Sketch:
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


def _command_line() -> str:
    # A name that is no UTF-8 must not keep the page from being written.
    return shlex.join(["deduplab", *sys.argv[1:]]).encode("utf-8", "backslashreplace").decode()


def _environment() -> dict[str, str]:
    from deduplab.bench.environment import record

    found = record(Path("/"))
    return {name: value for name, value in found.items() if not name.startswith("workspace")}
