"""Whether an export still is where it was brought: asked before the run itself is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from deduplab.errors import DeduplabError, StoreError
from deduplab.exports.catalogue import open_target
from deduplab.exports.export import verify, worded
from deduplab.exports.receipts import Receipt, standing
from deduplab.exports.target import Target
from deduplab.store import Run


def require_still_there(run: Run, targets: Sequence[Target] = ()) -> None:
    """Refuse a run that is not wholly exported as it is now; the run has to be held.

    Parameters
    ----------
    targets
        Where its export has to lie, as much of it as each takes: every byte is read from there.
        If none of them has all of it, one of the places that its receipts name has to: it is
        read where that takes no login, and else the receipt is believed.

    Raises
    ------
    StoreError
        With what is missing.
    SystemUnavailable
        If a target can't be reached.
    """
    found = standing(run)
    if found.reason:
        raise StoreError(found.reason)
    read = {_read(target, found.receipts) for target in targets}
    whole = [receipt for receipt in found.receipts if receipt.whole]
    if not any(one.manifest_sha256 in read or _is_there(one) for one in whole):
        raise StoreError(f"its export is not whole at {whole[0].target} any more: export it again")


def _read(target: Target, receipts: Sequence[Receipt]) -> str:
    """Read an export that one of these receipts is true of, and return its manifest's SHA-256."""
    manifests = {receipt.manifest_sha256 for receipt in receipts}
    name = receipts[0].run_id
    with worded(target):
        there = target.manifest(name)
    # By what lies there, and not by its name: the same place may have another elsewhere.
    if there is None or there.digest not in manifests:
        raise StoreError(f"its export as it is now is not at {target.shown}: export it there")
    verify(target, name, there)
    return there.digest


def _is_there(receipt: Receipt) -> bool:
    if not receipt.reopen:
        return True
    try:
        _read(open_target(receipt.reopen), [receipt])
    except DeduplabError:
        return False
    return True
