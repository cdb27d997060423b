"""Redis, and Valkey, which speaks the same: strings or hashes in memory, AOF and RDB on disk.

A namespace is a prefix of keys, ``deduplab:NAMESPACE:``, marked by the key
``deduplab:NAMESPACE``. What each verb issues and what the sizes include is told
in docs/systems/redis.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters import _redis_status as told
from deduplab.adapters._layout import LAYOUTS, Layout
from deduplab.adapters._marker import MARKER, Settings
from deduplab.adapters._redis_keys import count, marker_key, prefix, scan, unlink_all
from deduplab.adapters._redis_replicas import Replicas
from deduplab.adapters._redis_values import Values, all_put
from deduplab.adapters._resp import Resp
from deduplab.adapters._server_adapter import ServerAdapter
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, OperationFailed, Unsupported
from deduplab.model import Identity, Reading
from deduplab.record import Stored
from deduplab.server import Endpoint

_MARK: Final = MARKER.encode()

_APPEND: Final = {"fsync": ("yes", "always"), "interval": ("yes", "everysec")}
_SNAPSHOTS: Final = ("rdb", "rdb-uncompressed")


class RedisAdapter(ServerAdapter[Resp, str]):
    """Drives one Redis or Valkey over TCP."""

    product: ClassVar[str] = "redis"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            Variant("string", "strings; AOF, whose rewritten part is a compressed RDB"),
            Variant("hash", "an object is a hash; AOF as above"),
            Variant("aof", "strings; an AOF of commands alone, rewritten as commands"),
            Variant("rdb", "strings; snapshots, strings in them compressed alone (LZF)"),
            Variant("rdb-uncompressed", "strings; snapshots without compression"),
        ),
        layouts=LAYOUTS,
        durability=("fsync", "interval", "none"),
        delete_modes=("rowwise", "drop"),
        reclaim_modes=("memory-purge", "rewrite"),
        most_replicas=9,
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("*.manifest", "metadata"),
        ("*.base.*", "aof_base"),
        ("*.incr.*", "aof"),
        ("temp-*", "temporary"),
        ("*.rdb", "rdb"),
        ("*", "metadata"),
    )
    instance_components: ClassVar[tuple[str, ...]] = ("dataset", "overhead", "replication")

    def __init__(self) -> None:
        super().__init__()
        self._variant = self._durability = ""
        self._all_acknowledge = False
        self._values = Values(Layout(), False, b"")
        self._replicas = Replicas()

    def open(self, endpoint: Endpoint) -> None:
        """Connect and log in; enter the namespace again that was left by ``close``, if any.

        Replicas are connected to when they are needed.
        """
        self.close()
        self._connection = Resp.connect(endpoint)
        self._replicas = Replicas(endpoint.members)
        if self._namespace is not None and self._marked(self._namespace):
            self._check_durability(self._durability)
        else:
            self._namespace = None

    def close(self) -> None:
        """Disconnect, from replicas too; what is there stays."""
        self._replicas.close()
        super().close()

    def destroy(self) -> None:
        """Delete all keys of the namespace, and the marker last."""
        self._check_owner()
        namespace = self._entered
        if not self._marked(namespace):
            raise NamespaceRefused(f"namespace {namespace!r} has lost its marker; nothing is done")
        unlink_all(self._wire, namespace)
        self._wire.call(b"DEL", marker_key(namespace))
        self._namespace = None

    def put(self, key: str, payload: Stored) -> None:
        """Put one object by one command, if there is none of that key."""
        self._check_entered()
        if self._wire.send(self._values.put(key, payload)) != 1:
            raise OperationFailed(f"redis: the key {key!r} exists; an object is never replaced")
        self._acknowledge()

    def put_many(self, batch: Batch) -> int:
        """Put a batch by ``MSETNX`` (hashes: ``MULTI``), in pieces of about 1 MiB."""
        self._check_entered()
        answers = self._wire.pipeline(self._values.put_many(batch))
        if not all(map(all_put, answers)):
            raise OperationFailed("redis: a key of the batch exists; an object is never replaced")
        self._acknowledge()
        return len(batch)

    def get(self, key: str) -> Stored | None:
        """Get one object by its key."""
        self._check_entered()
        return self._values.stored(self._wire.send(self._values.get(key)))

    def delete(self, keys: Sequence[str]) -> int:
        """Delete these keys by one ``DEL``."""
        self._check_entered()
        if not keys:
            return 0
        deleted = int(self._wire.call(b"DEL", *map(self._values.key, keys)))
        self._acknowledge()
        return deleted

    def empty(self, mode: str) -> None:
        """Find all keys of the namespace by ``SCAN`` and ``UNLINK`` them; the marker stays."""
        self._check_owner()
        if mode != "drop":
            raise Unsupported(f"redis can't empty a prefix of keys by {mode!r}; it has: drop")
        unlink_all(self._wire, self._entered)
        self._acknowledge()

    def count(self) -> int:
        """Count the keys of the namespace by ``SCAN``, each once."""
        return count(self._wire, self._entered)

    def flush(self) -> None:
        """Wait until the AOF is on stable storage; take a snapshot where there is no other file.

        With ``appendfsync always`` every acknowledgement was that wait already. Replicas are
        waited for until they have everything; then each does the same.
        """
        self._replicas.follow(self._wire, self._pause)
        if self._durability == "interval":
            self._write_last()
            told.wait_for_sync(self._wire, self._replicas.wires(), self._pause)
        if self._durability == "none" or self._variant in _SNAPSHOTS:
            for member in self._members:
                told.snapshot(member, self._pause)

    def reclaim(self, mode: str) -> None:
        """Give free pages of the allocator back, or rewrite the AOF (else the RDB) and wait.

        Each member has its own memory and files, so all of them do it.
        """
        self._check_entered()
        if mode not in self.capabilities.reclaim_modes:
            raise Unsupported(f"redis has no reclaim {mode!r}; it has: memory-purge, rewrite")
        self._replicas.follow(self._wire, self._pause)
        write = told.snapshot if self._durability == "none" else told.rewrite
        for member in self._members:
            if mode == "memory-purge":
                member.call(b"MEMORY", b"PURGE")
            else:
                write(member, self._pause)

    def engine_reading(self) -> Reading:
        """Return the memory of the whole instance, as its allocator's caller counts it.

        ``dataset`` and ``overhead`` (tables, buffers, the server itself) add up to
        ``used_memory``; with replicas ``replication``, what is kept for them, is told apart, and
        theirs is not included. Fragmentation, files and other namespaces' share are not
        taken out or added.
        """
        parts, allocator = told.memory(self._wire)
        seconds, microseconds = self._wire.call(b"TIME")
        return Reading.of_parts(
            parts,
            source=f"INFO memory: used_memory ({allocator})",
            at_unix_ns=int(seconds) * 10**9 + int(microseconds) * 1000,
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return snapshots, rewrites, syncs and deletions that are under way, of all members.

        With replicas, also how many of them are behind; one that does not answer is.
        """
        found = told.info(self._wire)
        signals = Counter(told.numbers(found, told.BUSY))
        for replica in self._replicas.signals(found):
            signals.update(replica)
        return dict(signals)

    def physical_copies(self) -> int:
        """Return how many members have all that the primary wrote, and as many keys of ours."""
        return self._replicas.copies(self._wire, partial(count, namespace=self._entered))

    def counters(self) -> Mapping[str, int]:
        """Return memory, the AOF's length, and commands since the start."""
        return told.numbers(told.info(self._wire), told.COUNTERS)

    def identity(self) -> Identity:
        """Return product and version, port, settings and allocator, and the id of this run."""
        product, version, instance, configuration, since = told.identity(self._wire)
        configuration |= self._replicas.configuration(all_acknowledge=self._all_acknowledge)
        if self._namespace is not None:
            configuration |= self._values.layout.described()
        return Identity(product, version, instance, configuration, since)

    def _create(self, settings: Settings) -> None:
        """Set the marker, after checking the server's durability; delete what was left of ours."""
        namespace = settings.namespace
        self._check_durability(settings.durability)
        if self._marked(namespace):
            unlink_all(self._wire, namespace)
        elif next(scan(self._wire, namespace), None):
            raise NamespaceRefused(
                f"keys of namespace {namespace!r} exist without our marker; "
                "they are neither used nor deleted"
            )
        else:
            self._wire.call(b"SETNX", marker_key(namespace), _MARK)
        self._enter(settings)

    def _join(self, settings: Settings) -> None:
        """Enter the namespace over this connection, after checking the server's durability."""
        self._check_durability(settings.durability)
        if not self._marked(settings.namespace):
            raise self._gone(settings.namespace)
        self._enter(settings)

    def _enter(self, settings: Settings) -> None:
        self._namespace, self._variant = settings.namespace, settings.variant
        self._durability = settings.durability
        self._all_acknowledge = self._durability == "fsync" and len(self._replicas) > 0
        hashes = self._variant == "hash"
        self._values = Values(settings.layout, hashes, prefix(self._namespace))

    def _check_entered(self) -> None:
        if self._namespace is None:
            raise OperationFailed("redis: no namespace was entered; call create() first")

    def _marked(self, namespace: str) -> bool:
        """Whether the namespace is there and ours; refuse one whose marker is not ours."""
        found = self._wire.call(b"GET", marker_key(namespace))
        if found not in (None, _MARK):
            raise NamespaceRefused(
                f"key {marker_key(namespace).decode()!r} is not our marker; it is left alone"
            )
        return found is not None

    @property
    def _members(self) -> Iterator[Resp]:
        yield self._wire
        yield from self._replicas.wires()

    def _acknowledge(self) -> None:
        """Wait for all members where the durability asks for that.

        A replica that always syncs its AOF does so before it answers, as every server does.
        """
        if self._all_acknowledge:
            self._replicas.acknowledge(self._wire)

    def _write_last(self) -> None:
        """Write what changes nothing: the product waits only for what a connection wrote itself."""
        last = marker_key(self._entered) + b":last"
        self._wire.call(b"SETNX", last, b"")
        self._wire.call(b"DEL", last)

    def _pause(self, seconds: float) -> None:
        """Wait on the primary, by blocking on a key that never exists."""
        nothing = marker_key(self._entered) + b":"
        self._wire.call(b"BLPOP", nothing, b"%.2f" % seconds)

    def _check_durability(self, durability: str) -> None:
        found = (told.setting(self._wire, "appendonly"), told.setting(self._wire, "appendfsync"))
        wanted = _APPEND.get(durability)
        if wanted is None and found[0] == "no":
            return
        if found != wanted:
            raise Unsupported(
                f"durability {durability!r} needs appendonly and appendfsync = "
                f"{wanted or ('no', 'any')}, but this server runs with {found}"
            )
