"""Whether an export still is where it was brought: asked before the run itself is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from deduplab.errors import StoreError
from deduplab.exports.export import verify
from deduplab.exports.receipts import Receipt, standing
from deduplab.exports.target import Target
from deduplab.store import Run


def require_still_there(run: Run, targets: Sequence[Target]) -> None:
    """Refuse a run that is not wholly exported as it is now; the run has to be held.

    Parameters
    ----------
    targets
        Where it has to lie too: every byte is read from there. Without them the receipts are
        believed.

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
    by_target = {receipt.target: receipt for receipt in found.receipts}
    for target in targets:
        receipt = by_target.get(target.shown)
        if receipt is None:
            raise StoreError(f"all of it as it is now was never exported to {target.shown}")
        _require(target, receipt)


def _require(target: Target, receipt: Receipt) -> None:
    there = target.manifest(receipt.run_id)
    if there is None or there.digest != receipt.manifest_sha256:
        raise StoreError(f"its export is not at {target.shown} any more: export it again")
    verify(target, receipt.run_id, there)
