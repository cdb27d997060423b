"""The administrators of all server systems, by the system's name."""

from __future__ import annotations

from typing import Final

from tests.contract.administrator import Administrator
from tests.contract.administrators_kafka import KafkaAdministrator
from tests.contract.administrators_nats import NatsAdministrator
from tests.contract.administrators_redis import RedisAdministrator, ValkeyAdministrator
from tests.contract.administrators_rest import RestAdministrator
from tests.contract.administrators_s3 import MinioAdministrator, SeaweedfsAdministrator
from tests.contract.administrators_sql import MariadbAdministrator, PostgresqlAdministrator

ADMINISTRATORS: Final[dict[str, type[Administrator]]] = {
    kind.system: kind
    for kind in (
        PostgresqlAdministrator,
        MariadbAdministrator,
        RedisAdministrator,
        ValkeyAdministrator,
        KafkaAdministrator,
        NatsAdministrator,
        MinioAdministrator,
        SeaweedfsAdministrator,
        RestAdministrator,
    )
}
