"""Receipts: that a run was exported, kept beside it once what lies at the target was read back."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from deduplab.errors import StoreError, unwritten
from deduplab.exports.raw_files import raw_files, strangers, summed
from deduplab.run_files import decoded, sync_directory, write_synced
from deduplab.store import Run

FILE_NAME: Final = "receipts.json"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was exported, where and when; nothing by which one could log in.

    Attributes
    ----------
    target
        As :attr:`deduplab.exports.target.Target.shown`.
    reopen
        As :attr:`deduplab.exports.target.Target.reopen`.
    cells, planned_cells
        Committed cells that the export has, and how many the run was to have.
    manifest_sha256
        The SHA-256 of the export's manifest.
    raw_sha256
        The same of the list of the run's own files alone: it tells whether the run is still what
        was exported.
    left_out
        How many of the run's own files the target did not take.
    damaged
        How many cells were damaged, and exported as they were.
    """

    run_id: str
    target: str
    reopen: str
    exported_unix_ns: int
    deduplab: str
    cells: int
    planned_cells: int
    files: int
    total_bytes: int
    manifest_sha256: str
    raw_sha256: str
    left_out: int = 0
    damaged: int = 0

    @property
    def whole(self) -> bool:
        """Whether the target has all of the run, and nothing of it was damaged."""
        return not self.left_out and not self.damaged


def read_receipts(root: Path) -> list[Receipt]:
    """Return the receipts of a run's directory, one a target, the oldest first.

    Raises
    ------
    StoreError
        If they can't be read.
    """
    path = root / FILE_NAME
    try:
        return decoded(path.read_bytes(), list[Receipt], path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error}") from error


def keep_receipt(run: Run, receipt: Receipt) -> None:
    """Keep a receipt in the place of an earlier one of the same target; the run has to be held.

    Raises
    ------
    StoreError
        If it can't be written.
    """
    others = [one for one in read_receipts(run.root) if one.target != receipt.target]
    _write(run.root, [*others, receipt])


def drop_receipt(run: Run, target: str) -> None:
    """Keep no receipt of a target: what lies there is about to change, or is not whole.

    Raises
    ------
    StoreError
        If that can't be written.
    """
    kept = read_receipts(run.root)
    others = [one for one in kept if one.target != target]
    if len(others) < len(kept):
        _write(run.root, others)


def _write(root: Path, receipts: list[Receipt]) -> None:
    path = root / FILE_NAME
    aside = root / f".staging-receipts-{os.getpid()}"
    try:
        write_synced(aside, msgspec.json.format(msgspec.json.encode(receipts)))
        aside.rename(path)
        sync_directory(root)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise unwritten(f"{path} can't be written", error) from error


@dataclass(frozen=True, slots=True)
class Standing:
    """Which exports are of a run as it is now, and why it is not wholly exported, if it is not."""

    receipts: tuple[Receipt, ...]
    reason: str = ""


def standing(run: Run) -> Standing:
    """Return how a run stands; its own files are read and summed again.

    So a receipt of what the run was before it was gone on with, or damaged, is none of what it is.
    """
    receipts = read_receipts(run.root)
    if not receipts:
        return Standing((), "it is not exported")
    if unknown := strangers(run.root):
        return Standing((), f"it holds {unknown[0]}, which is in no export: move it away")
    now = (run.header.run_id, summed(raw_files(run.root)).digest)
    same = tuple(one for one in receipts if (one.run_id, one.raw_sha256) == now)
    if not same:
        return Standing((), "it is not any more what was exported: export it again")
    if not any(receipt.whole for receipt in same):
        return Standing(same, "a part of it alone was exported, or it is damaged")
    return Standing(same)
