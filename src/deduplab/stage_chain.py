"""The key stages of a plan: what is done to each system, in order."""

from __future__ import annotations

from typing import Final

from deduplab.model import READS, Stage
from deduplab.toml_table import Table, choice

_KEY: Final = "stages"
_DEFAULT: Final = ("bulk", "read", "reclaim", "insert", "delete", "reclaim", "refill")


def stages(root: Table) -> tuple[Stage, ...]:
    """Take ``stages``; the chain that answers most where it is not given."""
    return root.take_list(_KEY, choice("stage", tuple(Stage)), default=_DEFAULT, may_repeat=True)


def check(stages: tuple[Stage, ...], root: Table) -> None:
    """Check that each stage finds what it needs: data, or an emptied container.

    Raises
    ------
    PlanError
        At the line of the key.
    """
    if stages[0] is not Stage.BULK:
        raise root.error(_KEY, "the first stage is 'bulk': the others need what it stores")
    filled = False
    for place, stage in enumerate(stages):
        if stage not in (Stage.RECLAIM, *READS) and stage in stages[:place]:
            raise root.error(_KEY, f"'{stage}' may stand once in a chain")
        if stage is Stage.REFILL and Stage.DELETE not in stages[:place]:
            raise root.error(_KEY, "'refill' needs a 'delete' before it")
        if stage in (*READS, Stage.INSERT) and not filled:
            raise root.error(_KEY, f"'{stage}' needs data, and so does not follow 'delete'")
        if stage in (Stage.BULK, Stage.REFILL, Stage.DELETE):
            filled = stage is not Stage.DELETE
