"""The words of measurement as types: frozen, slotted, standard library only.

What is stored is in ``dataset_spec``, one point of the experiment in ``cell``. What
is measured is kept in the types here; ratios (data reduction, costs,
efficiency, intervals) are derived from them by ``deduplab.analysis`` and never
stored. A quantity that could not be read is :class:`Missing`, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DEDUPE: Final = "dedupe"
"""The moment after equal blocks of the volume were shared; and the mode that does it by extents."""

DEDUPE_MODES: Final = (DEDUPE, "dedupe-blocks")
"""The reclaim modes that are the volume's, not the system's: by whole extents, by blocks."""

NAMESPACE_PATTERN: Final = re.compile(r"^[a-z][a-z0-9_-]{2,62}$")


class Layer(StrEnum):
    """Where bytes are counted, from the client down to all physical copies."""

    CLIENT = "CLIENT"
    ENGINE = "ENGINE"
    FILES = "FILES"
    VOLUME = "VOLUME"
    REPLICAS = "REPLICAS"


class Ruler(StrEnum):
    """How a layer's bytes were counted.

    ``allocated`` is ``st_blocks * 512``, ``apparent`` is ``st_size``, ``shared`` the
    part of allocated that lies in extents which the file system marks as shared;
    ``reported`` is what a client, an engine or a file system says of itself.
    """

    ALLOCATED = "allocated"
    APPARENT = "apparent"
    SHARED = "shared"
    REPORTED = "reported"


class Stage(StrEnum):
    """What is done to a system, and timed."""

    BULK = "bulk"
    INSERT = "insert"
    READ = "read"
    COLD_READ = "cold-read"
    DELETE = "delete"
    RECLAIM = "reclaim"
    REFILL = "refill"


READS: Final = (Stage.READ, Stage.COLD_READ)
"""The stages that change nothing."""


def is_paced(stage: Stage, mode: str) -> bool:
    """Whether a rate is kept in a stage, and several clients share it: it goes object by object.

    Bulk and refill go in batches; truncating or dropping is one operation.
    """
    object_by_object = (Stage.INSERT, *READS)
    return stage in object_by_object or (stage is Stage.DELETE and mode == "rowwise")


class OutcomeKind(StrEnum):
    """How a measurement or a cell ended; only ``OK`` counts in figures."""

    OK = "OK"
    UNSUPPORTED = "UNSUPPORTED"
    INVALID = "INVALID"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, and why; ``reason`` is empty only for ``OK``."""

    kind: OutcomeKind
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the measurement counts."""
        return self.kind is OutcomeKind.OK


OK: Final = Outcome(OutcomeKind.OK)


@dataclass(frozen=True, slots=True)
class Reading:
    """One layer's bytes by one ruler, with its source and time.

    ``components`` split ``total_bytes`` (data, index, wal, free, temporary,
    metadata, ...) as far as the source can tell; they add up to the total. At the layer
    REPLICAS they are the members, and ``copies`` is how many physical copies of all objects
    the members were found to hold just then; None at other layers.
    """

    layer: Layer
    ruler: Ruler
    total_bytes: int
    source: str
    at_unix_ns: int
    components: dict[str, int] = field(default_factory=dict)
    copies: int | None = None

    @classmethod
    def of_parts(cls, components: dict[str, int], source: str, at_unix_ns: int) -> Reading:
        """Return what a system says of itself part by part; the total is their sum."""
        total_bytes = sum(components.values())
        return cls(Layer.ENGINE, Ruler.REPORTED, total_bytes, source, at_unix_ns, components)


@dataclass(frozen=True, slots=True)
class Missing:
    """A layer that could not be read, and why; never 0 and never another layer's number."""

    layer: Layer
    reason: str


@dataclass(frozen=True, slots=True)
class Footprint:
    """The readings of all layers at one moment."""

    readings: tuple[Reading, ...]
    missing: tuple[Missing, ...] = ()

    def reading(self, layer: Layer, ruler: Ruler | None = None) -> Reading | None:
        """Return the reading of a layer (by a ruler, else its first), or None if it is missing."""
        for reading in self.readings:
            if reading.layer is layer and ruler in (None, reading.ruler):
                return reading
        return None


@dataclass(frozen=True, slots=True)
class Rest:
    """How a system came to rest, or did not by the deadline (``settled`` false: censored).

    ``curve`` holds pairs of nanoseconds since the wait began and allocated
    bytes of the system's files; ``busy`` names the idle signals that were not
    zero when the wait ended.
    """

    settled: bool
    waited_ns: int
    curve: tuple[tuple[int, int], ...] = ()
    busy: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moment:
    """A footprint with its name: ``baseline``, ``flush``, ``rest``, ``reclaim`` or ``dedupe``.

    ``flush`` is taken as soon as the system persisted what it acknowledged,
    ``rest`` when it has come to rest, ``reclaim`` at rest after explicit
    maintenance, ``dedupe`` at rest after equal blocks of the volume were shared. ``rest``
    (the attribute) tells how rest was reached; it is
    None for ``flush``.
    """

    name: str
    footprint: Footprint
    rest: Rest | None = None


@dataclass(frozen=True, slots=True)
class OnDiskReading:
    """What still lies twice in a system's own files, at rest.

    ``grain_unique_bytes`` are the unique bytes of the files at each grain, each
    file cut on its own; ``apparent_bytes`` is their whole length. ``planted_found``
    counts whole copies of payloads that were found as they are, out of
    ``planted_stored`` objects that have them: what is compressed or encoded is not
    found. ``left_out`` counts files that could not be read.
    """

    apparent_bytes: int
    grain_unique_bytes: dict[str, int]
    planted_stored: int
    planted_found: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class ColdStart:
    """How an instance was made cold before it was read.

    ``restart_ns`` is the time from its last answer to the first one after the restart, without
    the dropping. ``file_bytes`` is the apparent length of its files; of them were in the page
    cache: ``resident_before_bytes`` before the restart, ``resident_after_bytes`` after they were
    dropped, ``resident_at_read_bytes`` when the reads began (what its own start has read).
    """

    restart_ns: int
    file_bytes: int
    resident_before_bytes: int
    resident_after_bytes: int
    resident_at_read_bytes: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One stage of one cell, as it was measured.

    ``duration_ns`` is the sum of the timed regions alone (data is in memory
    before the clock starts), ``flush_ns`` what the flush after them took.
    Each timed operation has one raw latency, kept by the store: a batch in
    bulk and refill, one object in insert and read, a batch of keys in delete.
    ``rate_per_s`` is the rate at which operations were offered, one object each: then
    latencies count from when each was due, service times are kept beside them, and
    ``duration_ns`` contains the waiting. None: a closed loop. ``cold`` tells how the instance
    of a cold read was made cold.
    ``clients`` is how many did the operations, as processes: number i was done by client i mod n,
    counted from 0. ``duration_ns`` is then the time until the last one had ended, and
    ``clients_waited_ns`` how long the others waited for it, all of them together.
    ``filled`` tells whether the container held data when the stage began.
    ``storage_write_bytes`` is what the system's processes caused to be written
    to storage from the stage's start until it came to rest, as the kernel counted it; None where it
    could not be read.
    """

    stage: Stage
    position: int
    mode: str
    filled: bool
    objects: int
    acknowledged: int
    logical_bytes: int
    unique_bytes: int
    operations: int
    duration_ns: int
    flush_ns: int
    storage_write_bytes: int | None
    moments: tuple[Moment, ...]
    outcome: Outcome = OK
    on_disk: OnDiskReading | None = None
    rate_per_s: float | None = None
    cold: ColdStart | None = None
    clients: int = 1
    clients_waited_ns: int = 0

    def moment(self, name: str) -> Moment | None:
        """Return the moment of that name, or None."""
        return next((moment for moment in self.moments if moment.name == name), None)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which instance of which product answered: compared at the start and the end of a cell.

    ``instance`` stays what it is over a restart, ``since`` does not: it tells which run of the
    instance answers; empty where the product does not say.
    """

    product: str
    version: str
    instance: str
    configuration: dict[str, str] = field(default_factory=dict)
    since: str = ""
