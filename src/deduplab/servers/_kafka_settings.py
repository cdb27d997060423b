"""The files that configure a private Kafka and its clients: listeners, logins, what differs.

Why each setting differs from the product's default is told in docs/systems/kafka.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from deduplab.server import Secret

HOST: Final = "127.0.0.1"
ADMINISTRATOR: Final = "administrator"
MECHANISM: Final = "SCRAM-SHA-512"

CONTROLLER: Final = 1
"""The node that is controller and broker; all others of a cluster are brokers."""

SETTINGS: Final = {
    "num.partitions": "1",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "metadata.max.idle.interval.ms": "0",
    "log.initial.task.delay.ms": "100",
    "log.retention.check.interval.ms": "100",
    "log.segment.delete.delay.ms": "100",
    "log.flush.scheduler.interval.ms": "100",
    "log.flush.interval.ms": str(2**63 - 1),  # else it is the line above, for all topics
    "log.cleaner.backoff.ms": "100",
    "log.cleaner.dedupe.buffer.size": str(64 * 1024 * 1024),
}
"""What the private instance sets, beside addresses, users and directories."""

_REPLICATED: Final = (
    "default.replication.factor",
    "min.insync.replicas",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
)
"""What is the number of brokers where there are several."""


def server_properties(
    data: str,
    *,
    client: int,
    controller: int,
    administrator: Secret,
    controller_secret: Secret,
    node: int = CONTROLLER,
    replicas: int = 1,
) -> str:
    """Return the configuration of one node: of broker and controller, or of one more broker.

    Parameters
    ----------
    data
        The directory of its logs, as it is seen from where the node runs. No path with
        other letters or a comma: the file is read as Latin-1, and this as a list.
    client, controller
        The ports for clients, and for brokers to reach the controller; both on loopback and both
        with a login. Only the controller listens at the latter.
    administrator
        Password of the super user, by SCRAM.
    controller_secret
        Password between broker and controller, by PLAIN: a controller has no SCRAM
        credentials before there is a cluster.
    node
        Its number; :data:`CONTROLLER` is broker and controller.
    replicas
        The brokers of the cluster: each keeps a copy of everything.
    """
    login = _login("scram.ScramLoginModule", ADMINISTRATOR, administrator)
    inner = _login("plain.PlainLoginModule", ADMINISTRATOR, controller_secret)
    known = f'{inner[:-1]} user_{ADMINISTRATOR}="{controller_secret.reveal()}";'
    own = f"CLIENT://{HOST}:{client}"
    first = node == CONTROLLER
    return _lines(
        {
            "process.roles": "broker,controller" if first else "broker",
            "node.id": str(node),
            "controller.quorum.voters": f"{CONTROLLER}@{HOST}:{controller}",
            "listeners": f"{own},CONTROLLER://{HOST}:{controller}" if first else own,
            "advertised.listeners": own,
            "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.client.sasl.enabled.mechanisms": MECHANISM,
            "listener.name.client.scram-sha-512.sasl.jaas.config": login,
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": known,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMINISTRATOR}",
            "log.dirs": data,
            **SETTINGS,
            **(dict.fromkeys(_REPLICATED, str(replicas)) if replicas > 1 else {}),
        }
    )


def client_properties(port: int, user: str, secret: Secret) -> str:
    """Return what the product's own clients need to log in."""
    return _lines(
        {
            "bootstrap.servers": f"{HOST}:{port}",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": MECHANISM,
            "sasl.jaas.config": _login("scram.ScramLoginModule", user, secret),
        }
    )


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _login(module: str, user: str, secret: Secret) -> str:
    return (
        f"org.apache.kafka.common.security.{module} required "
        f'username="{user}" password="{secret.reveal()}";'
    )
