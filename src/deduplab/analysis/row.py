"""A row: one derived figure with everything that it belongs to, or the reason why it is missing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from deduplab.analysis.statistics import Draws
from deduplab.model import Layer, OutcomeKind, Ruler

_LAYER_ORDER: Final[dict[tuple[str | None, str | None], int]] = {
    (Layer.FILES, Ruler.ALLOCATED): 0,
    (Layer.FILES, Ruler.APPARENT): 1,
    (Layer.FILES, Ruler.SHARED): 2,
    (Layer.FILES, None): 3,
    (Layer.ENGINE, Ruler.REPORTED): 4,
    (Layer.ENGINE, None): 5,
    (Layer.VOLUME, Ruler.REPORTED): 6,
    (Layer.VOLUME, None): 7,
    (Layer.REPLICAS, Ruler.ALLOCATED): 8,
    (Layer.REPLICAS, Ruler.APPARENT): 9,
    (Layer.REPLICAS, None): 10,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one group of repetitions.

    ``value`` is None exactly when ``outcome`` is not ``OK``; then ``reason``
    says why. Beside ``OK`` a reason is a remark (repetitions left out, too few
    operations for a percentile). ``ci_low`` and ``ci_high`` bound the 95 %
    bootstrap interval over ``n`` repetitions (below n = 5 the range of the draws),
    None where n < 2.

    ``grade_achieved`` is 0 to 1, from the manifest. ``moment`` ``reclaim`` at
    stage ``bulk`` is the filled container after explicit maintenance, ``dedupe``
    after the volume's blocks were shared. ``mode``
    is the delete or maintenance mode. ``rate_per_s`` is the cells' rate, None where all loops
    were closed; bulk, refill and maintenance always are, and what was not has a row
    ``offered_per_s``. ``clients`` is how many the cells have for what goes object by object; what
    several did has a row ``clients``. ``replicas`` is how many physical copies the cells were
    asked to keep; how many there were has a row ``physical_copies``. ``layer`` and ``ruler`` are
    None for figures that count no bytes of a layer. A metric with a colon names a
    component of the footprint (``footprint_bytes:wal``), a grain of a bound or a client.
    ``draws`` gives what the interval was made of, for comparisons; it is no field of an export.
    """

    run: str
    system: str
    variant: str
    payload: str
    layout: str
    grade_asked: str
    grade_achieved: float | None
    distance: str | int
    placement: str
    rate_per_s: float | None
    clients: int
    replicas: int
    stage: str | None
    moment: str | None
    mode: str | None
    layer: str | None
    ruler: str | None
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    unit: str
    outcome: str
    reason: str
    draws: Draws | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether there is a value that counts."""
        return self.outcome == OutcomeKind.OK.value

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, in the order of declaration."""
        return {name: getattr(self, name) for name in ROW_FIELDS}


ROW_FIELDS: Final = tuple(entry.name for entry in dataclasses.fields(Row) if entry.name != "draws")


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Return rows by group, and inside a group by layer: FILES allocated first, timings last."""
    found = list(rows)

    def place(row: Row) -> tuple[Any, ...]:
        return (
            row.system,
            row.variant,
            row.payload,
            row.layout,
            row.placement,
            row.rate_per_s or 0,
            row.clients,
            row.replicas,
            int(row.grade_asked[1:]),
            str(row.distance),
            _LAYER_ORDER.get((row.layer, row.ruler), len(_LAYER_ORDER)),
        )

    return sorted(found, key=place)


def export_json(rows: Iterable[Row]) -> str:
    """Write rows as a JSON array of objects, one object a line; a missing value is ``null``."""
    lines = (json.dumps(row.as_dict(), allow_nan=False, ensure_ascii=False) for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]\n"
