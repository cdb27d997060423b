"""What the lab's user may do on a Kafka cluster, and not more: one table, two uses.

The recipe of a private instance grants these rights by the protocol; an
administrator of another cluster grants the same by the statements of :func:`grants`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

PREFIX: Final = "deduplab."
"""The names of the lab's topics and groups begin with it."""

_REQUEST_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Right:
    """Operations that are allowed on a resource.

    ``resource`` is ``topic``, ``group`` (both: all whose names begin with
    :data:`PREFIX`) or ``cluster``; operations are named as in Kafka's tools.
    """

    resource: str
    operations: tuple[str, ...]
    reason: str


RIGHTS: Final = (
    Right(
        "topic",
        ("Create", "Delete", "Read", "Write", "AlterConfigs"),
        "the lab's own topics: created, filled, read, emptied, cleaned and deleted; Describe and "
        "DescribeConfigs come with these",
    ),
    Right("group", ("Describe",), "the client library asks who coordinates a reader's group"),
    Right("cluster", ("Describe", "DescribeConfigs"), "sizes of logs; the broker's settings"),
)
"""What the adapter needs, and not more."""

_BY_HAND: Final = (Right("group", ("Read",), "the product's own console client joins a group"),)
"""What the user of a private instance has beside that."""


def grants(user: str = "deduplab", namespace: str = "") -> str:
    """Return the commands by which an administrator grants the rights, one a line."""
    server = "--bootstrap-server BROKER:PORT --command-config ADMIN.properties"
    lines = [
        "# The user, who logs in by SCRAM-SHA-512.",
        f"kafka-configs.sh {server} --alter --entity-type users --entity-name {user} "
        "--add-config 'SCRAM-SHA-512=[password=<password>]'",
    ]
    for right in RIGHTS:
        operations = " ".join(f"--operation {operation}" for operation in right.operations)
        lines.append(f"# {right.reason}")
        lines.append(
            f"kafka-acls.sh {server} --add --allow-principal User:{user} "
            f"{_where(right, namespace)} {operations}"
        )
    return "\n".join(lines) + "\n"


def _where(right: Right, namespace: str) -> str:
    if right.resource == "cluster":
        return "--cluster"
    return f"--{right.resource} {PREFIX}{namespace} --resource-pattern-type prefixed"


def grant(admin: AdminClient, user: str) -> None:
    """Grant the rights, by an administrator's connection.

    Raises
    ------
    confluent_kafka.KafkaException
        If the cluster refuses.
    """
    futures: dict[Any, Any] = admin.create_acls(_bindings(user))
    for future in futures.values():
        future.result(_REQUEST_S)


def _bindings(user: str) -> list[Any]:
    from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
    from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

    kinds = {
        "topic": (ResourceType.TOPIC, PREFIX, ResourcePatternType.PREFIXED),
        "group": (ResourceType.GROUP, PREFIX, ResourcePatternType.PREFIXED),
        "cluster": (ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL),
    }
    return [
        AclBinding(
            *kinds[right.resource],
            f"User:{user}",
            "*",
            AclOperation[_spelled(operation)],
            AclPermissionType.ALLOW,
        )
        for right in (*RIGHTS, *_BY_HAND)
        for operation in right.operations
    ]


def _spelled(operation: str) -> str:
    """Return an operation as the client library spells it: ``AlterConfigs``, ``ALTER_CONFIGS``."""
    words = "".join(f"_{letter}" if letter.isupper() else letter for letter in operation)
    return words.lstrip("_").upper()
