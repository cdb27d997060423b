"""The words of the method as types: frozen, slotted, standard library only.

What is measured is stored in these types; ratios (data reduction, costs,
efficiency, intervals) are derived from them by ``deduplab.analysis`` and never
stored. A quantity that could not be read is :class:`Missing`, with the reason.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

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
    DELETE = "delete"
    RECLAIM = "reclaim"
    REFILL = "refill"


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
    metadata, ...) as far as the source can tell; they add up to the total.
    """

    layer: Layer
    ruler: Ruler
    total_bytes: int
    source: str
    at_unix_ns: int
    components: dict[str, int] = field(default_factory=dict)


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
class SizeSpec:
    """How long payloads are: ``kind`` is ``fixed``, ``uniform``, ``lognormal`` or ``natural``.

    ``uniform`` lies between two limits, ``lognormal`` around the median
    ``object_bytes`` with ``sigma`` (of the logarithm) and is cut off at the limits.
    ``natural`` is for real corpora: records, chapters and documents keep their
    own lengths, and ``object_bytes`` is about how long a piece is where there is a choice.
    """

    kind: str = "fixed"
    least_bytes: int = 0
    greatest_bytes: int = 0
    sigma: float = 1.0


@dataclass(frozen=True, slots=True)
class CopySpec:
    """How the second and each later copy of a payload is made.

    Parameters
    ----------
    form
        ``exact``: byte by byte. ``edited``: a near duplicate, with ``edits`` edits
        of ``edit_bytes`` bytes at seeded places. ``gzip``: every copy, the first
        too, is the same content compressed with other settings. ``json``: every
        copy is the same document with other spacing and key order.
    edits, edit_bytes, edit_kinds
        Number and length of the edits; kinds (``insert``, ``delete``,
        ``replace``) are taken in turn.
    """

    form: str = "exact"
    edits: int = 1
    edit_bytes: int = 1
    edit_kinds: tuple[str, ...] = ("replace",)


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
class DatasetSpec:
    """What is to be stored; everything the bytes depend on, and nothing else.

    Parameters
    ----------
    payload
        Payload family, as ``random_binary`` or ``text_document``.
    logical_bytes, object_bytes
        Total to store and the size of one object, in bytes. Whole objects
        only: the achieved total is the largest possible one not above the asked one.
    grade_percent
        Asked share of logical bytes that are duplicates, 0 to 99.
    distance
        ``none`` (grade 0), ``adjacent``, ``shuffled``, an exact number of logical
        bytes that lie between a copy and the copy before it, or several numbers,
        each for an equal share of the dataset.
    placement
        ``within`` one container, or ``across`` two: then each payload's copies are
        dealt out to both in turn.
    seed
        One seed gives the same bytes on every machine.
    key_prefix
        First letters of every key, so that two datasets share no key.
    source
        A folder or file with the user's own data, for the family ``files``; for
        a real family, a file to take instead of the one that was fetched.
    sizes
        How lengths are distributed.
    multiplicity
        ``equal`` (every payload has as many copies, give or take one), ``zipf``
        (the n-th payload in proportion to 1 / n), or pairs (copies, payloads) of a
        histogram that was measured: its shape is kept, scaled to the size;
        with it the grade is that of the histogram, and ``grade_percent`` must agree.
    compressibility_percent
        Share of a synthetic payload that zstd at level 1 takes away; None leaves
        a family's own.
    copies
        How copies are made.
    vary
        Whether a real corpus that is too small is extended by marked edits.
    skip_bytes
        Payloads of about so many bytes are left out at the source's beginning, since
        another dataset of the same cell has them.
    """

    payload: str
    logical_bytes: int
    object_bytes: int
    grade_percent: int
    distance: str | int | tuple[int, ...]
    placement: str = "within"
    seed: int = 1
    key_prefix: str = "o"
    source: str | None = None
    sizes: SizeSpec = SizeSpec()
    multiplicity: str | tuple[tuple[int, int], ...] = "equal"
    compressibility_percent: int | None = None
    copies: CopySpec = CopySpec()
    vary: bool = False
    skip_bytes: int = 0

    @property
    def distance_name(self) -> str:
        """The distance for people: a name, bytes, or several joined by ``+``."""
        several = self.distance if isinstance(self.distance, tuple) else (self.distance,)
        return "+".join(str(one) for one in several)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Ground truth of a dataset, counted from its bytes and not from its specification.

    ``unique_bytes`` counts the first copy of every payload.
    ``grain_unique_bytes`` gives the unique bytes at chunk grains (``fixed-4096``,
    ``cdc-4096``, ...), each object cut on its own. ``distance_bytes`` is the
    least, median and greatest number of logical bytes between a copy and the
    previous copy of the same payload; None without copies. ``multiplicity``
    has pairs (copies, payloads): how many payloads there are with so many copies,
    ascending. ``container_bytes`` splits ``logical_bytes`` by container.
    ``near_objects`` and ``near_bytes`` count the objects that are the content of an
    earlier one in another form, edited or wrapped, as they were planted.
    ``varied_objects`` counts distinct payloads that a real corpus did not hold.
    ``digest`` is a BLAKE3 over every object's length and payload, in insertion order.
    """

    spec: DatasetSpec
    objects: int
    logical_bytes: int
    unique_objects: int
    unique_bytes: int
    grain_unique_bytes: dict[str, int]
    distance_bytes: tuple[int, int, int] | None
    digest: str
    multiplicity: tuple[tuple[int, int], ...] = ()
    container_bytes: tuple[int, ...] = ()
    near_objects: int = 0
    near_bytes: int = 0
    varied_objects: int = 0

    @property
    def duplicate_bytes(self) -> int:
        """Logical bytes whose payload was stored before."""
        return self.logical_bytes - self.unique_bytes

    @property
    def grade_achieved(self) -> float:
        """Share of logical bytes that are duplicates, 0 to 1."""
        return self.duplicate_bytes / self.logical_bytes if self.logical_bytes else 0.0


@dataclass(frozen=True, slots=True)
class RestSettings:
    """When a size counts as settled: stable over a window, idle, by a deadline (seconds)."""

    window_s: float = 1.0
    interval_s: float = 0.1
    deadline_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """Where a server runs already, and how it is talked to.

    Parameters
    ----------
    secret
        A reference: ``env:NAME`` or ``file:PATH``.
    tls
        ``verify``: by TLS, and the server's certificate is verified. ``off``: plainly.
    ssl_ca
        A file of the authorities to trust; None trusts those of the system.
    options
        Pairs (name, value) of what the system's adapter declares beside this.
    """

    host: str
    port: int
    user: str
    database: str | None = None
    secret: str | None = None
    tls: str = "verify"
    ssl_ca: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the experiment; ``cell_id`` is a hash of every declared input.

    ``bulk`` is the dataset of the stages bulk and refill, ``insert`` that of
    the stage insert (None without it). ``read_objects`` is how many objects
    the read stage asks for, in a seeded order. ``reclaim_modes`` are the
    system's own maintenance flavours, mild to strong; a mode of dedupe, which is the
    volume's, comes last. ``remote`` is None for a private instance. ``on_disk``
    tells whether the files are scanned after bulk. ``volume`` is the kind of
    file system of its own that the instance lies on (``none``: the workspace's),
    ``volume_bytes`` the length of its image (0 without one).
    """

    system: str
    variant: str
    layout: str
    durability: str
    stages: tuple[Stage, ...]
    bulk: DatasetSpec
    insert: DatasetSpec | None
    repetition: int
    batch_bytes: int
    read_objects: int
    delete_mode: str
    reclaim_modes: tuple[str, ...]
    cache: str
    rest: RestSettings
    deadline_s: float = 600.0
    remote: RemoteAddress | None = None
    on_disk: bool = False
    volume: str = "none"
    volume_bytes: int = 0

    @property
    def own_reclaim_modes(self) -> tuple[str, ...]:
        """The maintenance that is the system's own, mild to strong."""
        return tuple(mode for mode in self.reclaim_modes if mode not in DEDUPE_MODES)

    @property
    def volume_modes(self) -> tuple[str, ...]:
        """The modes that share equal blocks of the volume; none or one."""
        return tuple(mode for mode in self.reclaim_modes if mode in DEDUPE_MODES)

    @property
    def cell_id(self) -> str:
        """Return 20 hexadecimal digits; another input gives another identity."""
        return hash_of(dataclasses.asdict(self))[:20]

    @property
    def label(self) -> str:
        """Return a short name for people."""
        spec = self.bulk
        distance = spec.distance_name if spec.grade_percent else "unique"
        system = self.system if self.variant == "default" else f"{self.system}/{self.variant}"
        system += "" if self.volume == "none" else f" on {self.volume}"
        return f"{system} {spec.payload} U{spec.grade_percent} {distance} #{self.repetition}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One stage of one cell, as it was measured.

    ``duration_ns`` is the sum of the timed regions alone (data is in memory
    before the clock starts), ``flush_ns`` what the flush after them took.
    Each timed operation has one raw latency, kept by the store: a batch in
    bulk and refill, one object in insert and read, a batch of keys in delete.
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

    def moment(self, name: str) -> Moment | None:
        """Return the moment of that name, or None."""
        return next((moment for moment in self.moments if moment.name == name), None)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which instance of which product answered: compared at the start and the end of a cell."""

    product: str
    version: str
    instance: str
    configuration: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellResult:
    """Everything that one cell gave; raw latencies lie beside it in the store."""

    cell: Cell
    outcome: Outcome
    identity: Identity | None
    bulk_manifest: Manifest | None
    insert_manifest: Manifest | None
    baseline: Moment | None
    measurements: tuple[Measurement, ...]
    started_unix_ns: int
    finished_unix_ns: int
    attempts: int = 1


def canonical_json(value: Any) -> str:
    """Write JSON with sorted keys and no spaces, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hash_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, as hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()
