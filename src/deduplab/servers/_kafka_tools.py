"""The product's own command line tools, logged in as the lab's user."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deduplab.errors import PlanError
from deduplab.servers._kafka_binaries import Kafka
from deduplab.servers._private_server import write_private

TOOLS: Final[Mapping[str, str]] = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
}
"""The tools that the lab's user has a use for, and the classes that they start."""

_OPTIONS: Final = ("-Xmx512m", "-XX:-UsePerfData", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
# They live for a moment: what costs time at the start is left out.
_SHORT_LIVED: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
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


def write_commands(kafka: Kafka, properties: Path, port: int, directory: Path) -> None:
    """Write a program for each tool, by the tool's name, that is logged in and passes the rest on.

    Parameters
    ----------
    properties, port
        As in :func:`tool_command`.
    directory
        Where they are written; those that are there are replaced.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    for tool in TOOLS:
        java, *rest = tool_command(kafka, properties, port, tool)
        command = shlex.join([java, *_SHORT_LIVED, *rest])
        # Java takes the names of files by the locale's letters.
        script = f'#!/bin/sh\nexport LC_ALL=C.UTF-8\nexec {command} "$@"\n'
        write_private(directory / tool, script, 0o700)
