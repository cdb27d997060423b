"""What is to be stored, and what was: a dataset's specification and its manifest.

Frozen, slotted, standard library only, as in ``model``.
"""

from __future__ import annotations

from dataclasses import dataclass


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
