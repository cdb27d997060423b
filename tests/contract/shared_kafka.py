"""Kafka as its tests need it: its entry, the look behind its back, one instance for many."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from deduplab.registry import SystemEntry
from deduplab.server import Endpoint, Server
from deduplab.servers.kafka import KafkaServer
from tests.contract.looks_kafka import KafkaLook

LOOK = KafkaLook()

ENTRY = SystemEntry(
    "kafka",
    "server",
    "deduplab.adapters.kafka:KafkaAdapter",
    "deduplab.servers.kafka:KafkaServer",
    "Apache Kafka, a private broker; logs kept whole or compacted by key",
    driver="confluent_kafka",
    extra="kafka",
)


class SharedServer(Server):
    """One instance for many tests: Kafka's variants are settings of topics, not of the server."""

    running: ClassVar[tuple[KafkaServer, Endpoint] | None] = None

    def start(self) -> Endpoint:
        if SharedServer.running is None:
            directory = Path(tempfile.mkdtemp(prefix="deduplab-kafka-"))
            server = KafkaServer(directory, variant="", durability="fsync")
            SharedServer.running = (server, server.start())
        return SharedServer.running[1]

    def stop(self) -> None:
        """Leave it to the end of the module."""

    def processes(self) -> tuple[int, ...]:
        return () if SharedServer.running is None else SharedServer.running[0].processes()

    @classmethod
    def end(cls) -> None:
        """Stop the instance, and leave nothing of it."""
        if SharedServer.running is not None:
            server, _ = SharedServer.running
            server.stop()
            shutil.rmtree(server.workspace)
            SharedServer.running = None
