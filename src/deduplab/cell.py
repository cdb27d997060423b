"""One point of the experiment, whose identity is a hash of its inputs, and what it gave.

Frozen, slotted, standard library only, as in ``model``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from deduplab.dataset_spec import DatasetSpec, Manifest
from deduplab.model import DEDUPE_MODES, Identity, Measurement, Moment, Outcome, Stage
from deduplab.units import format_rate

LATER: Final = {"later": True}
"""Marks an input that came later: at its default it is in no hash, so ids stay what they were."""


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
    ``volume_bytes`` the length of its image (0 without one). ``trace_hz`` is how many
    samples a second a tracer takes; 0 for none. ``rate_per_s`` is the rate of the stages that
    go object by object, with ``arrivals`` ``constant`` or ``poisson``; None: closed loops.
    ``clients`` is how many clients do those stages at once. ``replicas`` is how many physical
    copies the system is made to keep of everything, each by a member of its own.
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
    trace_hz: float = 0.0
    rate_per_s: float | None = field(default=None, metadata=LATER)
    arrivals: str = field(default="constant", metadata=LATER)
    clients: int = field(default=1, metadata=LATER)
    replicas: int = field(default=1, metadata=LATER)

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
        return hash_of(declared(self))[:20]

    @property
    def label(self) -> str:
        """Return a short name for people."""
        spec = self.bulk
        distance = spec.distance_name if spec.grade_percent else "unique"
        system = shown_system(self.system, self.variant)
        system += "" if self.volume == "none" else f" on {self.volume}"
        system += "" if self.rate_per_s is None else f" at {format_rate(self.rate_per_s)}"
        system += by_clients(self.clients) + with_replicas(self.replicas)
        return f"{system} {spec.payload} U{spec.grade_percent} {distance} #{self.repetition}"


@dataclass(frozen=True, slots=True)
class CellResult:
    """Everything that one cell gave; raw latencies and the trace lie beside it in the store.

    ``no_trace`` says why a trace that was asked for is missing.
    """

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
    no_trace: str = ""


def shown_system(system: str, variant: str) -> str:
    """Return a system for people, with its variant where that is not the default."""
    return system if variant == "default" else f"{system}/{variant}"


def by_clients(clients: int) -> str:
    """Return how many clients for people, to stand behind a name; nothing for one."""
    return "" if clients == 1 else f" by {clients} clients"


def with_replicas(replicas: int) -> str:
    """Return how many physical copies are kept for people, behind a name; nothing for one."""
    return "" if replicas == 1 else f" with {replicas} replicas"


def declared(value: Any) -> Any:
    """Return the inputs of a dataclass by name, and of those within; as they are hashed."""
    if dataclasses.is_dataclass(value):
        given = {one: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {
            one.name: declared(inner)
            for one, inner in given.items()
            if not ("later" in one.metadata and inner == one.default)
        }
    if isinstance(value, tuple):
        return [declared(one) for one in value]
    return value


def canonical_json(value: Any) -> str:
    """Write JSON with sorted keys and no spaces, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hash_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, as hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()
