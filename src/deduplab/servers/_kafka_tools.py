"""The product's own command line tools, logged in as the lab's user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deduplab.errors import PlanError
from deduplab.servers._kafka_binaries import Kafka

TOOLS: Final[Mapping[str, str]] = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
}
"""The tools that the lab's user has a use for, and the classes that they start."""

_OPTIONS: Final = ("-Xmx512m", "-XX:-UsePerfData", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
_BY_FILE_ALONE: Final = ("kafka-producer-perf-test",)


def tool_command(
    kafka: Kafka, properties: Path, port: int, tool: str, *arguments: str
) -> list[str]:
    """Return the command line of a tool.

    Parameters
    ----------
    properties
        The file of the login, as ``KafkaServer.client_properties`` writes it.
    port
        The client listener's.

    Raises
    ------
    PlanError
        If there is no such tool.
    """
    if tool not in TOOLS:
        raise PlanError(f"kafka has no tool {tool!r} here; it has: {', '.join(TOOLS)}")
    login = ["--command-config", str(properties)]
    if tool not in _BY_FILE_ALONE:
        login += ["--bootstrap-server", f"127.0.0.1:{port}"]
    return kafka.command(_OPTIONS, TOOLS[tool], *login, *arguments)
