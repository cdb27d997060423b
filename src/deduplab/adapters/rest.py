"""Any system behind the REST contract of docs/rest-contract.yaml, as a black box.

A namespace is a database of that name, which bears our marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import MARKER, Settings
from deduplab.adapters._rest_answers import (
    Activity,
    Deleted,
    Health,
    Objects,
    Stats,
    check_contract,
    told,
)
from deduplab.adapters._rest_answers import (
    Stored as Many,
)
from deduplab.adapters._rest_bulk import BULK_TYPE, bulk_body
from deduplab.adapters._rest_refusal import Refused
from deduplab.adapters._rest_wire import BASE_PATH, RestWire, database_path, query_of
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, OperationFailed, ProbeError, Unsupported
from deduplab.model import Identity, Layer, Reading, Ruler
from deduplab.record import Stored
from deduplab.server import Endpoint


class RestAdapter(ServerAdapter[RestWire, str]):
    """Drives one server over HTTP/1.1, one request an operation.

    In the layout native an object is the record's canonical serialisation, of
    its content type, which ``get`` returns. An answer of success means what the
    database's durability says. What the server is, the adapter does not know.
    """

    product: ClassVar[str] = "rest"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("default", "as the system stores by itself; ours merges whole copies"),
            Variant("plain", "copies are kept; for a system that can be told so"),
        ),
        layouts=LAYOUTS,
        durability=("fsync", "interval", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("compact",),
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("*.sqlite-wal", "log"),
        ("*-shm", "temporary"),
        ("*.new*", "temporary"),
        ("instance", "metadata"),
    )

    remote_options: ClassVar[Mapping[str, str]] = {
        BASE_PATH: "what stands before the paths of the contract, as /lab"
    }

    def __init__(self) -> None:
        super().__init__()
        self._health: Health | None = None
        self._settings: dict[str, str] = {}
        self._layout = Layout()
        self._database = self._object = b""

    def open(self, endpoint: Endpoint) -> None:
        """Connect and see who answers; enter the namespace again that was left by ``close``."""
        self.close()
        wire = RestWire(endpoint)
        try:
            health = _health_of(wire)
            check_contract(health)
        except BaseException:
            wire.close()
            raise
        self._connection, self._health = wire, health
        if self._namespace is not None and self._settings_of(self._namespace) != self._settings:
            self._namespace = None

    def watch(self, entered: object) -> None:
        """Look at a database over this connection; only counters may be asked for."""
        assert isinstance(entered, str)
        self._enter(entered)

    def destroy(self) -> None:
        """Drop the database; the server refuses if the marker is gone."""
        self._check_owner()
        self._drop(self._entered)
        self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Store one object by one request."""
        record_type = self._layout.record_type
        content = payload if record_type is None else record_type.canonical(payload)
        if not isinstance(content, bytes):
            raise OperationFailed("rest: the layout blob stores payloads, not records")
        target = self._target(key)
        try:
            self._wire.send(b"PUT", target, content, success=201)
        except Refused as refused:
            raise refused.translated(f"put of {key!r}") from refused

    def put_many(self, batch: Batch) -> int:
        """Store a batch by one bulk request; all of it, or nothing."""
        what = f"put of {len(batch)} objects"
        target, body = self._below(b"/objects"), bulk_body(batch)
        try:
            answer = self._wire.send(b"POST", target, body, BULK_TYPE, success=201)
        except Refused as refused:
            raise refused.translated(what) from refused
        return told(Many, what, answer).stored

    def get(self, key: str) -> Stored | None:
        """Return the payload of a key (native: the canonical bytes), or None."""
        target = self._target(key)
        if not key:
            return None  # the contract has no empty key
        try:
            return self._wire.send(b"GET", target).body
        except Refused as refused:
            if (refused.status, refused.code) == (404, "no-object"):
                return None
            raise refused.translated(f"get of {key!r}") from refused

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these objects by one request."""
        target = self._below(b"/objects/delete")
        what, asked = f"delete of {len(keys)} objects", {"keys": list(keys)}
        return self._wire.ask(Deleted, what, b"POST", target, asked).deleted

    def empty(self, mode: str) -> None:
        """Have all objects deleted, or drop the database and make it anew."""
        self._check_owner()
        namespace = self._entered
        if mode == "truncate":
            self._call("truncate", b"POST", self._below(b"/truncate"))
        elif mode == "drop":
            self._drop(namespace)
            self._make(namespace, self._settings)
        else:
            raise Unsupported(f"rest has no delete mode {mode!r}; it has: truncate, drop")

    def count(self) -> int:
        """Return the number of objects, counted by the server."""
        return self._wire.ask(Objects, "count", b"GET", self._below(b"/count")).objects

    def flush(self) -> None:
        """Have everything acknowledged persisted."""
        self._call("flush", b"POST", self._below(b"/flush"))

    def reclaim(self, mode: str) -> None:
        """Have maintenance run; the answer comes when it is done."""
        if mode not in self.capabilities.reclaim_modes:
            offered = ", ".join(self.capabilities.reclaim_modes)
            raise Unsupported(f"rest has no reclaim {mode!r}; it has: {offered}")
        self._call(f"maintenance {mode}", b"POST", self._below(b"/maintain"), {"mode": mode})

    def engine_reading(self) -> Reading:
        """Return the bytes of the database as the server tells them, by its own components.

        Raises
        ------
        ProbeError
            If the server does not tell.
        """
        try:
            stats = self._wire.ask(Stats, "stats", b"GET", self._below(b"/stats"))
        except Unsupported as error:
            raise ProbeError(f"rest: the server does not tell its size: {error}") from error
        if sum(stats.bytes.values()) != stats.total:
            raise ProbeError(f"rest: the server's bytes do not add up: {stats}")
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=stats.total,
            source=f"{self._answering.product}: stats",
            at_unix_ns=stats.at_unix_ns,
            components=stats.bytes,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return what the server says is under way."""
        return self._activity().busy

    def counters(self) -> Mapping[str, int]:
        """Return the server's own counters."""
        return self._activity().counters

    def identity(self) -> Identity:
        """Return what the server says of itself, and the database's settings."""
        health = _health_of(self._wire)
        configuration = dict(health.configuration)
        if self._namespace is not None:
            configuration |= self._settings | self._layout.described()
        return Identity(health.product, health.version, health.instance, configuration)

    def _create(self, settings: Settings) -> None:
        """Create the database with our marker; one that bears it is dropped before."""
        namespace, asked = settings.namespace, _asked(settings)
        found = self._settings_of(namespace)
        if found is not None:
            if found.get("marker") != MARKER:
                raise NamespaceRefused(
                    f"rest: the database {namespace!r} exists without our marker; "
                    "it is neither used nor dropped: choose another namespace"
                )
            self._drop(namespace)
        self._make(namespace, asked)
        self._settings, self._layout = asked, settings.layout
        self._enter(namespace)

    def _join(self, settings: Settings) -> None:
        """Enter the database over this connection, if its settings are those."""
        asked = _asked(settings)
        if self._settings_of(settings.namespace) != asked:
            raise self._gone(settings.namespace)
        self._settings, self._layout = asked, settings.layout
        self._enter(settings.namespace)

    def _enter(self, namespace: str) -> None:
        self._namespace = namespace
        self._database = database_path(namespace)
        self._object = self._database + b"/object?key="

    @property
    def _answering(self) -> Health:
        if self._health is None:
            raise OperationFailed("rest is not open; call open() first")
        return self._health

    def _below(self, path: bytes) -> bytes:
        self._entered  # noqa: B018  (refuses where no namespace was entered)
        return self._database + path

    def _target(self, key: str) -> bytes:
        self._entered  # noqa: B018  (refuses where no namespace was entered)
        return self._object + query_of(key)

    def _call(self, what: str, method: bytes, target: bytes, document: object = None) -> None:
        self._wire.call(what, method, target, document)

    def _activity(self) -> Activity:
        return self._wire.ask(Activity, "activity", b"GET", self._below(b"/activity"))

    def _settings_of(self, namespace: str) -> dict[str, str] | None:
        """Return the settings of a database with its marker, or None if there is none."""
        what = f"look at the database {namespace!r}"
        try:
            answer = self._wire.send(b"GET", database_path(namespace))
        except Refused as refused:
            if (refused.status, refused.code) == (404, "no-database"):
                return None
            raise refused.translated(what) from refused
        return told(dict[str, str], what, answer)

    def _make(self, namespace: str, settings: dict[str, str]) -> None:
        what = f"creation of the database {namespace!r}"
        path = database_path(namespace)
        found = self._wire.ask(dict[str, str], what, b"PUT", path, settings, success=201)
        if found != settings:
            raise Unsupported(f"rest: {what}: asked for {settings}, but in force is {found}")

    def _drop(self, namespace: str) -> None:
        what = f"drop of the database {namespace!r}"
        self._call(what, b"DELETE", database_path(namespace) + b"?marker=" + query_of(MARKER))


def _health_of(wire: RestWire) -> Health:
    return wire.ask(Health, "health", b"GET", b"/v1/health")


def _asked(settings: Settings) -> dict[str, str]:
    """Return what a database of these settings bears."""
    return {
        "marker": MARKER,
        "variant": settings.variant,
        "durability": settings.durability,
        "content_type": _content_type(settings.layout),
    }


def _content_type(layout: Layout) -> str:
    return layout.record_type.content_type if layout.record_type else "application/octet-stream"
