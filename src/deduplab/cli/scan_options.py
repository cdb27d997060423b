"""What the command line of ``deduplab scan`` says, checked before anything is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from deduplab.bound.grains import ALL_GRAINS, kind
from deduplab.bound.scan import ScanSettings
from deduplab.bound.sources.base import PAGE_BYTES, STANDARD_INPUT
from deduplab.bound.sources.catalogue import open_source
from deduplab.bound.stream import Source
from deduplab.errors import PlanError
from deduplab.units import parse_bytes

_GROUPS: Final = {"fixed": "fixed", "cdc": "content-defined"}


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What the command line says, in the words of its options."""

    sources: tuple[str, ...]
    table: str | None
    query: str | None
    columns: str | None
    order: tuple[str, ...]
    pages: str | None
    kind: str | None
    delimiter: str | None
    grain: tuple[str, ...]
    exact: bool
    sample: str | None
    compress: bool
    processes: int
    dask: str | None
    sketch: Path | None
    merge: bool
    compare: tuple[str, str] | None
    on_disk: Path | None
    planted: str | None
    as_json: bool
    html: Path | None
    allow_left_out: bool

    def settings(self) -> ScanSettings:
        """Return what the scan is asked for."""
        if self.exact and self.sample is not None:
            raise PlanError("--exact and --sample exclude each other; give one of them")
        return ScanSettings(
            grains=grains_of(self.grain),
            sample=share_of(self.sample),
            compress=self.compress,
        )

    @property
    def of_run(self) -> bool:
        """Whether ``--on-disk`` names a run, whose files were scanned when it was made."""
        return self.on_disk is not None and (self.on_disk / "run.json").is_file()

    def page_bytes(self) -> int | None:
        """Return the length of pages; None where an object is a value."""
        if self.pages is None:
            return None
        page_bytes = parse_bytes(self.pages)
        if not page_bytes:
            raise PlanError("--pages of 0 bytes hold no values; leave it out to scan by value")
        return page_bytes

    def opened(self, text: str, order: str | None = None, pages: int | None = None) -> Source:
        """Open a source; in another order and in pages for the comparison of orders."""
        return open_source(
            text,
            table=self.table,
            query=self.query,
            columns=None if self.columns is None else _split(self.columns),
            order=order or (self.order[0] if self.order else "natural"),
            column_pages=pages or self.page_bytes() or False,
            kind=self.kind,
            delimiter=self.delimiter,
        )

    def order_sources(self) -> dict[str, list[Source]]:
        """Open the sources once more for each order, in pages, if several are to be compared."""
        if len(self.order) < 2:
            return {}
        for order in self.order:
            for text in self.sources:
                self.opened(text, order)  # an order that has no meaning is said before pages
        pages = self.page_bytes() or PAGE_BYTES
        return {
            order: [self.opened(text, order, pages) for text in self.sources]
            for order in self.order
        }

    def check(self) -> None:
        """Refuse what excludes each other, before anything is read."""
        ways = {
            "SOURCE": bool(self.sources) and not self.merge,
            "--merge": self.merge,
            "--compare": self.compare is not None,
            "--on-disk": self.on_disk is not None,
        }
        asked = [name for name, given in ways.items() if given]
        if len(asked) != 1:
            raise PlanError(
                "nothing to scan: name a source (a path, a URL, or - for standard input)"
                if not asked
                else f"{' and '.join(asked)} exclude each other; give one of them"
            )
        if self.merge and not self.sources:
            raise PlanError("--merge needs sketches: deduplab scan --merge A.sketch B.sketch")
        self._check_unused(asked[0])
        if self.planted is not None and self.processes > 1:
            raise PlanError("planted payloads are sought by one process; leave out -j")
        if len(set(self.order)) != len(self.order):
            raise PlanError("--order names an order twice; name each once")
        self._check_counted_once()
        for option, target in (("--html", self.html), ("--sketch", self.sketch)):
            if target is not None:
                self._check_target(option, target)
        if (
            self.html
            and self.sketch
            and os.path.realpath(self.html) == os.path.realpath(self.sketch)
        ):
            raise PlanError("--html and --sketch name the same file; name two")

    def _check_counted_once(self) -> None:
        """Refuse to read something twice: its second reading would look like copies."""
        if self.compare == (STANDARD_INPUT, STANDARD_INPUT):
            raise PlanError("standard input can be read only once, so it is not compared to itself")
        if len(self.sources) < 2:
            return
        places: dict[Path, str] = {}
        for text in self.sources:
            is_path = text != STANDARD_INPUT and "://" not in text
            place = Path(os.path.realpath(text) if is_path else text)
            if place in places:
                raise PlanError(f"{text!r} is named twice, and would count twice; name it once")
            places[place] = text
        for place, text in places.items():
            for folder in place.parents:
                if folder in places:
                    raise PlanError(
                        f"{text!r} lies in {places[folder]!r}, and would count twice; name one"
                    )

    def _check_target(self, option: str, target: Path) -> None:
        """Refuse to write where that can't be, or into what is read."""
        folder = target.absolute().parent
        if not os.path.isdir(folder):  # noqa: PTH112 - False where it can't be looked at
            raise PlanError(f"there is no folder {str(target.parent)!r} to write {target.name}")
        if os.path.isdir(target):  # noqa: PTH112
            raise PlanError(f"{option} {str(target)!r} is a folder; name a file in it")
        is_there = os.path.exists(target)  # noqa: PTH110
        if option == "--sketch" and is_there and not target.is_file():
            raise PlanError(f"--sketch {str(target)!r} is no regular file; name another")
        # A sketch is written beside its place, and renamed.
        allowed = os.access(target, os.W_OK) if is_there else True
        if not is_there or option == "--sketch":
            allowed = allowed and os.access(folder, os.W_OK | os.X_OK)
        if not allowed:
            only_read = os.statvfs(folder).f_flag & os.ST_RDONLY
            why = "its file system is mounted read-only" if only_read else "permission denied"
            raise PlanError(f"{option} {str(target)!r} can't be written: {why}")
        for text in (*self.sources, *(str(path) for path in (self.on_disk,) if path)):
            if target.resolve().is_relative_to(Path(text).resolve()):
                raise PlanError(
                    f"{str(target)!r} lies in what is read ({text!r}), which is never written to; "
                    "name another place"
                )

    def _check_unused(self, way: str) -> None:
        """Refuse options that would change nothing, rather than pass over them."""
        reading = {
            "--table": self.table,
            "--query": self.query,
            "--columns": self.columns,
            "--order": self.order or None,
            "--pages": self.pages,
            "--format": self.kind,
            "--delimiter": self.delimiter,
            "--dask": self.dask,
        }
        counting = {
            "--grain": self.grain or None,
            "--sample": self.sample,
            "--exact": self.exact or None,
            "--no-compress": None if self.compress else True,
            "-j": None if self.processes == 1 else self.processes,
        }
        output = {"--html": self.html, "--sketch": self.sketch}
        planted = {"--planted": self.planted}
        unused: dict[str, dict[str, Any]] = {
            "SOURCE": planted,
            "--merge": {**reading, **counting, **planted},
            "--compare": {**output, **planted},
            "--on-disk": reading,
            "the --on-disk of a run": {**reading, **counting, **output, **planted},
        }
        if self.of_run:
            way = "the --on-disk of a run"
        for name, value in unused[way].items():
            if value is not None:
                raise PlanError(f"{name} has no meaning with {way}; leave it out")
        if self.dask is not None and self.processes > 1:
            raise PlanError("-j has no meaning with --dask, whose workers read; leave it out")


def _split(columns: str) -> list[str]:
    return [name.strip() for name in columns.split(",") if name.strip()]


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
