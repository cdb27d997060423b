"""Whether an export still is where it was brought: asked before the run itself is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from deduplab.errors import StoreError
from deduplab.exports.export import verify, worded
from deduplab.exports.receipts import standing
from deduplab.exports.target import Target
from deduplab.store import Run


def require_still_there(run: Run, targets: Sequence[Target]) -> None:
    """Refuse a run that is not wholly exported as it is now; the run has to be held.

    Parameters
    ----------
    targets
        Where its export has to lie, as much of it as each takes: every byte is read from there.
        Without them the receipts are believed.

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
    manifests = {receipt.manifest_sha256 for receipt in found.receipts}
    for target in targets:
        with worded(target):
            there = target.manifest(run.header.run_id)
        # By what lies there, and not by its name: the same place may have another elsewhere.
        if there is None or there.digest not in manifests:
            raise StoreError(f"its export as it is now is not at {target.shown}: export it there")
        verify(target, run.header.run_id, there)
