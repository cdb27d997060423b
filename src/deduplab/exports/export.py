"""An export: written, read back byte by byte, and only then kept as a receipt."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import deduplab
from deduplab.errors import PlanError, StoreError, unwritten
from deduplab.exports.content import Content
from deduplab.exports.manifest import FILE_NAME, HEADER, Manifest
from deduplab.exports.raw_files import is_of_cell
from deduplab.exports.receipts import Receipt, drop_receipt, keep_receipt
from deduplab.exports.target import Target
from deduplab.store import Run


class What(StrEnum):
    """What an export came to."""

    WRITTEN = "written"
    RENEWED = "renewed"
    THERE = "there already"


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that lies at its target, verified."""

    what: What
    receipt: Receipt
    remark: str = ""


def export(run: Run, content: Content, target: Target) -> Exported:
    """Bring the content of a run to a target, unless it is there; the run has to be held.

    An earlier export of the same run is renewed, so far as no result is lost by that.

    Raises
    ------
    PlanError
        If the target lies in the run's own directory.
    StoreError
        If another run's files are there, it can't be written, or what is read back differs.
    SystemUnavailable
        If the target can't be reached, or refuses the login.
    """
    if target.lies_in(run.root):
        raise PlanError(
            f"{target.shown} lies in the run's own directory and would be deleted with it; name "
            "another target"
        )
    taken = target.taken(content)
    with worded(target):
        there = target.manifest(taken.name)
    if there is not None:
        _require_same_run(there, content.manifest, f"{target.shown}: {taken.name}")
    what = What.WRITTEN if there is None else What.RENEWED
    if there is not None and there.checksums == taken.manifest.checksums:
        what = What.THERE
    else:
        drop_receipt(run, target.shown)
        with worded(target):
            target.write(taken)
    try:
        verify(target, taken.name, taken.manifest)
    except StoreError:
        drop_receipt(run, target.shown)
        raise
    receipt = _receipt(run, taken, content, target)
    keep_receipt(run, receipt)
    return Exported(what, receipt, "" if what is What.THERE else target.remark)


def verify(target: Target, name: str, expected: Manifest) -> None:
    """Read every byte of an export back, and compare it with its manifest.

    Raises
    ------
    StoreError
        If a file is missing, too many, or has other bytes.
    SystemUnavailable
        If the target can't be reached.
    """
    found = {}
    with worded(target):
        for path, content in target.read(name):
            digest = hashlib.sha256()
            for piece in content:
                digest.update(piece)
            found[path] = digest.hexdigest()
    wanted = Manifest({**expected.checksums, FILE_NAME: expected.digest})
    if differences := wanted.differences(Manifest(found)):
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise StoreError(
            f"{target.shown}: {name} is not what it has to be: {differences[0]}{more}; remove it "
            "there, and export again"
        )


@contextmanager
def worded(target: Target) -> Iterator[None]:
    """Word an error of this machine's files: a full disk, or no permission.

    Raises
    ------
    StoreError
        With what can't be done there.
    """
    try:
        yield
    except OSError as error:
        raise unwritten(f"{target.shown} can't be exported to", error) from error


def _require_same_run(there: Manifest, ours: Manifest, where: str) -> None:
    """Refuse to replace another run, or one of which there is more at the target than here."""
    if there.checksums.get(HEADER) != ours.checksums[HEADER]:
        raise StoreError(
            f"{where} is an export of another run of that name; it is left as it is: name another "
            "target"
        )
    lost = there.only(is_of_cell).checksums.items()
    here = set(ours.checksums.values())  # a cell that was set aside lies elsewhere
    for path, checksum in sorted(lost):
        if checksum not in here:
            raise StoreError(
                f"{where} has results that are not here ({path}), so it is left as it is: name "
                "another target"
            )


def _receipt(run: Run, taken: Content, whole: Content, target: Target) -> Receipt:
    return Receipt(
        run_id=taken.name,
        target=target.shown,
        reopen=target.reopen,
        exported_unix_ns=time.time_ns(),
        deduplab=deduplab.__version__,
        cells=len(run.committed_ids()),
        planned_cells=len(run.header.cell_ids),
        files=len(taken.files),
        total_bytes=taken.total_bytes,
        manifest_sha256=taken.manifest.digest,
        raw_sha256=whole.raw.digest,
        left_out=len(whole.raw.checksums) - len(taken.raw.checksums),
        damaged=len(taken.damaged),
    )
