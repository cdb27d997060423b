"""How each system of the registry is looked at behind its adapter's back."""

from __future__ import annotations

from typing import Final

from deduplab.testing.system import RawLook
from tests.contract.looks_cockroachdb import CockroachdbLook
from tests.contract.looks_kafka import KafkaLook
from tests.contract.looks_lmdb import LmdbLook
from tests.contract.looks_mariadb import MariadbLook
from tests.contract.looks_nats import NatsLook
from tests.contract.looks_redis import RedisLook
from tests.contract.looks_rest import RestLook
from tests.contract.looks_s3 import S3Look
from tests.contract.raw_looks import (
    ChunkedLook,
    ClickhouseLook,
    CompressedLook,
    DuckdbLook,
    NullLook,
    PlainLook,
    PostgresqlLook,
    RocksdbLook,
    SingleInstanceLook,
    SqliteLook,
)

LOOKS: Final[dict[str, RawLook]] = {
    "plain": PlainLook(),
    "single_instance": SingleInstanceLook(),
    "chunked": ChunkedLook(),
    "compressed": CompressedLook(),
    "null": NullLook(),
    "sqlite": SqliteLook(),
    "duckdb": DuckdbLook(),
    "rocksdb": RocksdbLook(),
    "clickhouse": ClickhouseLook(),
    "postgresql": PostgresqlLook(),
    "cockroachdb": CockroachdbLook(),
    "mariadb": MariadbLook(),
    "redis": RedisLook(),
    "valkey": RedisLook(),
    "kafka": KafkaLook(),
    "nats": NatsLook(),
    "lmdb": LmdbLook(),
    "rest": RestLook(),
    "minio": S3Look(),
    "seaweedfs": S3Look(),
}

OWN_SUITES: Final = frozenset(
    {
        "cockroachdb",
        "kafka",
        "lmdb",
        "mariadb",
        "minio",
        "nats",
        "redis",
        "rest",
        "seaweedfs",
        "valkey",
    }
)
"""Systems whose own test module runs the contract suites, since something there is special."""
