"""What Kafka's client library raises, told apart and worded as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deduplab.adapters._rights import advice
from deduplab.errors import DeduplabError, OperationFailed, SystemUnavailable

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

UNAVAILABLE: Final = frozenset(
    {
        "_ALL_BROKERS_DOWN",
        "_AUTHENTICATION",
        "_DESTROY",
        "_FAIL",
        "_MSG_TIMED_OUT",
        "_RESOLVE",
        "_SSL",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_TRANSPORT",
        "BROKER_NOT_AVAILABLE",
        "KAFKA_STORAGE_ERROR",
        "LEADER_NOT_AVAILABLE",
        "NETWORK_EXCEPTION",
        "NOT_CONTROLLER",
        "NOT_LEADER_FOR_PARTITION",
        "REQUEST_TIMED_OUT",
        "SASL_AUTHENTICATION_FAILED",
        "STALE_BROKER_EPOCH",
    }
)
"""Names of errors that may pass on a fresh instance; all others are failures."""


def translated(error: KafkaError, what: str) -> DeduplabError:
    """Return our error for the library's: the one place where they are told apart."""
    said = f"kafka, {what}: {error.str()} ({error.name()})"
    if error.name() in UNAVAILABLE:
        return SystemUnavailable(said)
    if error.name().endswith("_AUTHORIZATION_FAILED"):
        said += f"; {advice('kafka')}"
    return OperationFailed(said)
