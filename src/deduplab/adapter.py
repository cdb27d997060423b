"""The first seam: an adapter drives one system under test inside one guarded namespace.

An adapter never times, hashes, reads files, retries, sleeps or prints, and it
never names a result: those belong to the bench. It imports its driver inside
:meth:`Adapter.open`, so that the catalogue works where the driver is absent.
It translates driver errors once: what may pass if tried again on a fresh
instance is :class:`~deduplab.errors.SystemUnavailable`, everything else
:class:`~deduplab.errors.OperationFailed`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from deduplab.batch import Batch
from deduplab.capabilities import Capabilities as Capabilities
from deduplab.capabilities import Variant as Variant
from deduplab.errors import NamespaceRefused, ProbeError, Unsupported
from deduplab.model import NAMESPACE_PATTERN, Identity, Reading
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint


class Adapter(ABC):
    """Drives one system under test.

    The life of an adapter: ``open``, ``create``, any of the verbs, ``destroy``,
    ``close``. An adapter that is opened again after ``close`` enters the
    namespace that it was in, if it is still there with its marker. Every verb
    returns when the system has acknowledged at the durability that ``create``
    declared, never when it has merely queued.

    Attributes
    ----------
    capabilities
        What the system offers.
    file_components
        Pairs of a glob over paths relative to the data directory (``*`` also
        matches ``/``) and the component the file belongs to; the first match
        wins, and what matches none is ``data``.
    instance_components
        Components of ``engine_reading`` that belong to the whole instance and not
        to the namespace (a log that all share): where copies lie across two
        namespaces of one instance, they are counted once.
    remote_options
        What a plan's remote address of this system may say beside host, port, user,
        database, secret and TLS: names of options, with one line each. They come to
        ``open`` among the endpoint's options.
    """

    capabilities: ClassVar[Capabilities]
    file_components: ClassVar[tuple[tuple[str, str], ...]] = ()
    instance_components: ClassVar[tuple[str, ...]] = ()
    remote_options: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def open(self, endpoint: Endpoint) -> None:
        """Connect to (or open) the system.

        Raises
        ------
        SystemUnavailable
            If the driver is not installed or the system does not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Disconnect; safe to call twice, and after a failed ``open``."""

    def entered(self) -> object | None:
        """Return what :meth:`watch` has to know of the namespace that was entered.

        It can be pickled. None where no second process can look (an embedded engine keeps its
        files to one), or where there are no counters to look at.
        """
        return None

    def watch(self, entered: object) -> None:
        """Look at a namespace that an adapter of another process has entered.

        Called once, after ``open``; nothing but :meth:`counters` may be asked for then.

        Parameters
        ----------
        entered
            What that adapter's :meth:`entered` returned.
        """
        raise Unsupported(f"{type(self).__name__} can't look at what another process has entered")

    def joining(self) -> object | None:
        """Return what :meth:`join` has to know of the namespace that was entered.

        It can be pickled. None where no second process can put, get and delete there: an
        embedded engine keeps its files to one.
        """
        return None

    def join(self, joining: object, record_type: RecordType | None = None) -> None:
        """Join a namespace that an adapter of another process has entered.

        Called once, after ``open``. From then on ``put``, ``get`` and ``delete`` do here what
        they do there, at the same durability; a namespace is neither created, emptied nor
        destroyed by who joined it.

        Parameters
        ----------
        joining
            What that adapter's :meth:`joining` returned.
        record_type
            As in :meth:`create`: it can't be pickled.

        Raises
        ------
        NamespaceRefused
            If the namespace is gone, or has lost its marker.
        Unsupported
            If no second process can join.
        """
        raise Unsupported(f"{type(self).__name__} can't join what another process has entered")

    def look_again(self) -> None:
        """Take note that other processes have changed what the namespace holds.

        What is remembered of its objects is not relied on any more; where an operation would
        have to look it up, that is done here.
        """
        return

    @abstractmethod
    def create(
        self,
        namespace: str,
        *,
        layout: str,
        variant: str,
        durability: str,
        record_type: RecordType | None = None,
    ) -> None:
        """Create the namespace with our marker and enter it, empty.

        A namespace that exists with our marker is emptied. ``record_type`` is what
        the native layout makes its columns, documents or fields from; with layout
        blob it is not looked at.

        Raises
        ------
        NamespaceRefused
            If it exists without our marker, or its name is not allowed.
        Unsupported
            If the layout, variant or durability is not offered.
        """

    @abstractmethod
    def destroy(self) -> None:
        """Drop the namespace that was entered; refuse if the marker is gone."""

    @abstractmethod
    def put(self, key: str, payload: Stored) -> None:
        """Store one object; an existing key is an error where ``unique_keys`` is true.

        The payload is ``bytes`` in the layout blob, a record in the layout native.
        """

    @abstractmethod
    def put_many(self, batch: Batch) -> int:
        """Store a batch by the system's own fast path; return the number acknowledged.

        The layout blob takes ``batch.data`` or ``batch.payloads``, the layout native
        ``batch.records`` or ``batch.columns``; whichever it is was made before the clock.
        """

    @abstractmethod
    def get(self, key: str) -> Stored | None:
        """Return the payload of a key, or None if there is no such object.

        In the layout native it is the record, or its canonical bytes where the system
        keeps objects as files; ``RecordType.canonical`` makes bytes of either.
        """

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> int:
        """Delete these objects in one request (mode ``rowwise``).

        Returns
        -------
        int
            How many of the keys are acknowledged as gone.
        """

    @abstractmethod
    def empty(self, mode: str) -> None:
        """Delete all objects at once: ``truncate`` or ``drop`` (and create anew).

        Raises
        ------
        Unsupported
            If the mode is not in the capabilities.
        """

    @abstractmethod
    def count(self) -> int:
        """Return the number of objects that a client can see now, counted by the system."""

    @abstractmethod
    def flush(self) -> None:
        """Persist everything acknowledged, and trim logs as a user would; no maintenance."""

    @abstractmethod
    def reclaim(self, mode: str) -> None:
        """Run the system's explicit maintenance and return when it is done."""

    @abstractmethod
    def engine_reading(self) -> Reading:
        """Return what the system says of its own size (layer ENGINE), by component.

        Raises
        ------
        ProbeError
            If the system does not tell.
        """

    def physical_copies(self) -> int:
        """Return how many members of a replicated system hold all that the namespace holds now.

        Each member is asked itself, the leader included; one that is behind or can't be reached
        does not count.

        Raises
        ------
        ProbeError
            If it can't be told.
        """
        raise ProbeError(f"{type(self).__name__} can't tell how many copies there are")

    @abstractmethod
    def idle_signals(self) -> Mapping[str, int]:
        """Return counts of work under way (merges, vacuums, pending writes); all 0 is idle."""

    @abstractmethod
    def counters(self) -> Mapping[str, int]:
        """Return cheap counters for the trace; empty where the system has none."""

    @abstractmethod
    def identity(self) -> Identity:
        """Return the product, its version, this instance's identity, and its configuration.

        What a restart changes (a start time, the id of a run) is told as ``since``, and is in
        nothing else: a planned restart is known by that.

        Where the system's files grow by whole units of a known length, the configuration
        says so as ``allocation_bytes``: a growth of few of them has no ratio.
        """


def checked_namespace(namespace: str) -> str:
    """Return the name if it is allowed, so that nothing else reaches a system as an identifier.

    Raises
    ------
    NamespaceRefused
        If the name does not match ``[a-z][a-z0-9_-]{2,62}``.
    """
    if not NAMESPACE_PATTERN.fullmatch(namespace):
        raise NamespaceRefused(
            f"namespace {namespace!r} is not allowed: 3 to 63 of a-z, 0-9, _ and -, a letter first"
        )
    return namespace
