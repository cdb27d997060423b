"""NATS JetStream: messages in streams, refused at ingestion where their id or subject is known.

A namespace is one stream, or two where payloads are kept by their hash; each bears our marker in
its metadata. What each verb asks for, and what the sizes include, is told in docs/systems/nats.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any, ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import Settings
from deduplab.adapters._nats_api import JetStream
from deduplab.adapters._nats_namespace import DURABILITIES, NatsNamespace, synced
from deduplab.adapters._nats_objects import Objects
from deduplab.adapters._nats_streams import REFERENCES, SCHEMES
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.batch import Batch
from deduplab.datasets.record_types import json_record
from deduplab.errors import OperationFailed, ProbeError, Unsupported
from deduplab.model import Identity, Reading
from deduplab.record import RecordType, Stored
from deduplab.server import Endpoint

_COUNTERS: Final = {
    "mem": "server_memory_bytes",
    "in_client_msgs": "received_messages",
    "in_client_bytes": "received_bytes",
    "slow_consumers": "slow_consumers",
}
"""Numbers of VARZ, and what they are called in a trace."""

_CHANGING: Final = ("messages", "bytes", "first_seq", "last_seq", "num_deleted")
"""Members of a stream's state that are the same twice where nothing is done to it."""


def _plain(name: str, summary: str) -> Variant:
    return Variant(name, summary, encodes=False)


class NatsAdapter(ServerAdapter[JetStream, NatsNamespace]):
    """Drives one NATS server with JetStream over TCP."""

    product: ClassVar[str] = "nats"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            _plain("default", "a message an object, its key as the subject; no compression"),
            Variant("s2", "the same, full blocks are compressed with S2"),
            _plain("unique-content", "payloads once by their hash as Nats-Msg-Id, for a day"),
            _plain("unique-content-short", "the same, but an id is known for 100 ms only"),
            _plain("unique-content-by-subject", "payloads once, by their hash as the subject"),
        ),
        layouts=LAYOUTS,
        durability=DURABILITIES,
        delete_modes=("rowwise", "truncate", "drop"),
        reclaim_modes=("sweep",),
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("*.tmp", "temporary"),
        ("*/__msgs__/*", "temporary"),
        ("*-references/msgs/*.blk", "references"),
        ("*.blk", "data"),
        ("*.db", "index"),
        ("*", "metadata"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._codec: RecordType | None = None
        self._objects: Objects | None = None
        self._seen: dict[str, tuple[int, ...]] = {}

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; enter the namespace again that was left by ``close``, if any."""
        self.close()
        self._connection = JetStream(endpoint)
        namespace = self._namespace
        if namespace is not None and namespace.is_there(self._connection):
            namespace.check_durability(self._connection.varz())
            self._enter(namespace)
        else:
            self._namespace = None

    def close(self) -> None:
        """Disconnect; what is there stays."""
        self._objects = None
        super().close()

    def entered(self) -> object | None:
        """Return the namespace without its layout, which only objects have."""
        return None if self._namespace is None else replace(self._namespace, layout=Layout())

    def destroy(self) -> None:
        """Delete the namespace's streams."""
        self._check_owner()
        self._entered.destroy(self._wire)
        self._objects = self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Publish one message (by hash: two at once), and return when it is acknowledged."""
        self._stored_objects.put(key, self._encoded(payload))

    def put_many(self, batch: Batch) -> int:
        """Publish a batch without waiting for each; return when all are acknowledged."""
        self._stored_objects.put_many(batch.keys, self._values(batch))
        return len(batch)

    def get(self, key: str) -> Stored | None:
        """Read the last message of the key's subject (Direct Get; by hash: that of two)."""
        value = self._stored_objects.get(key)
        return value if value is None or self._codec is None else self._codec.parse(value)

    def delete(self, keys: Sequence[str]) -> int:
        """Purge the keys' subjects, one request each, all on their way at once."""
        return self._stored_objects.delete(keys)

    def empty(self, mode: str) -> None:
        """Purge the streams, or delete them and create them anew."""
        self._check_owner()
        if mode not in ("truncate", "drop"):
            raise Unsupported(f"nats can't empty by {mode!r}; it has: truncate, drop")
        objects = self._stored_objects
        if mode == "truncate":
            objects.truncate()
            return
        self._entered.create(self._wire)
        self._objects = self._entered.enter(self._wire)

    def count(self) -> int:
        """Return the number of messages; by hash, of references whose payload is there."""
        return self._stored_objects.count()

    def flush(self) -> None:
        """Do nothing more: all is acknowledged, and NATS has no request that syncs a stream."""
        self._stored_objects  # noqa: B018  (outside a namespace it is refused as every verb is)

    def reclaim(self, mode: str) -> None:
        """Delete payloads that no object refers to any more, and have their ids forgotten.

        Raises
        ------
        Unsupported
            In variants without such payloads: NATS has no maintenance that can be asked for.
        """
        if mode not in self.capabilities.reclaim_modes:
            raise Unsupported(f"nats has no reclaim {mode!r}; it has: sweep")
        self._check_owner()
        self._stored_objects.sweep()

    def engine_reading(self) -> Reading:
        """Return the bytes of the streams' messages, as the server counts them (STREAM.INFO).

        Components: ``data`` (objects or payloads), ``references``. A message's subject,
        header and a frame of 30 bytes are included, before compression; what deleted
        messages still occupy is not.
        """
        try:
            states = self._entered.states(self._wire)
        except OperationFailed as error:
            raise ProbeError(str(error)) from error
        components = {
            part if part == REFERENCES else "data": int(info["state"]["bytes"])
            for part, info in states.items()
        }
        at = max(datetime.fromisoformat(_to_microseconds(info["ts"])) for info in states.values())
        return Reading.of_parts(
            components, source="STREAM.INFO", at_unix_ns=round(at.timestamp() * 10**6) * 1000
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return streams whose state is another than at the last look, and requests under way.

        The server tells nothing of its syncing and compacting.
        """
        found = {
            part: tuple(int(info["state"].get(name, 0)) for name in _CHANGING)
            for part, info in self._entered.states(self._wire).items()
        }
        before, self._seen = self._seen, found
        inflight = _stats(self._wire.varz()).get("api", {}).get("inflight", 0)
        changing = sum(before.get(part) != state for part, state in found.items())
        return {"changing_streams": changing, "api_requests": int(inflight)}

    def counters(self) -> Mapping[str, int]:
        """Return the streams' messages and bytes, and what the server tells of itself."""
        states = [info["state"] for info in self._entered.states(self._wire).values()]
        varz = self._wire.varz()
        return {
            "stream_messages": sum(state["messages"] for state in states),
            "stream_bytes": sum(state["bytes"] for state in states),
            "stored_bytes": int(_stats(varz).get("storage", 0)),
            **{ours: int(varz[name]) for name, ours in _COUNTERS.items() if name in varz},
        }

    def identity(self) -> Identity:
        """Return version, the server's name, settings, and the id of this run of it.

        A server without a name of its own is called by its id, which a restart changes.
        """
        info, varz = self._wire.wire.info, self._wire.varz()
        jetstream = varz.get("jetstream", {}).get("config", {})
        configuration = {
            "max_payload": str(varz["max_payload"]),
            "sync": synced(jetstream),
            "num_cores": str(varz.get("cores", "")),
        }
        if self._namespace is not None:
            configuration |= self._namespace.configuration(self._wire)
        return Identity(
            "NATS Server", info["version"], info["server_name"], configuration, info["server_id"]
        )

    # The state

    def _create(self, settings: Settings) -> None:
        """Create the streams, and check that their durability is the declared one."""
        self._objects = None
        ours = _namespace_of(settings)
        ours.check_durability(self._wire.varz())
        ours.create(self._wire)
        self._enter(ours)

    def _join(self, settings: Settings) -> None:
        """Enter the streams over this connection; nothing is remembered of them."""
        ours = _namespace_of(settings)
        if not ours.is_there(self._wire):
            raise self._gone(settings.namespace)
        ours.check_durability(self._wire.varz())
        self._enter(ours)

    def _enter(self, ours: NatsNamespace) -> None:
        self._namespace = ours
        native = ours.layout.record_type
        self._codec = json_record(native.name, native.fields) if native else None
        self._objects = ours.enter(self._wire)

    @property
    def _stored_objects(self) -> Objects:
        if self._objects is None:
            raise OperationFailed("no namespace was entered; call open() and create() first")
        return self._objects

    def _encoded(self, stored: Stored) -> bytes:
        if isinstance(stored, tuple):
            if self._codec is not None:
                return self._codec.serialise(stored)
        elif self._codec is None:
            return stored
        raise OperationFailed("nats: a payload where the layout is native, or a record in blob")

    def _values(self, batch: Batch) -> Iterable[Any]:
        if self._codec is not None:
            return map(self._codec.serialise, batch.records)
        data, bounds = batch.data, batch.offsets.tolist()
        return (data[start:stop] for start, stop in pairwise(bounds))


def _namespace_of(settings: Settings) -> NatsNamespace:
    scheme = SCHEMES[settings.variant]
    return NatsNamespace(settings.namespace, scheme, settings.durability, settings.layout)


def _stats(varz: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = varz.get("jetstream", {}).get("stats", {})
    return found


def _to_microseconds(time: str) -> str:
    """Return a time of Go's with at most six digits of a second, which is what Python reads."""
    head, point, rest = time.rstrip("Z").partition(".")
    return f"{head}{point}{rest[:6]}+00:00" if point else f"{head}+00:00"
