"""Java's archive of the classes that a broker loads (class data sharing): made once, used by all.

Source: "Class Data Sharing" in the documentation of the Java virtual machine.
An archive of another Java, or of other libraries, is passed over by Java itself.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from deduplab.servers._kafka_binaries import Kafka
from deduplab.servers.kafka import KafkaServer


def archive_classes(kafka: Kafka) -> Path:
    """Run a throw-away broker, and keep what it loaded beside its libraries.

    Raises
    ------
    SystemUnavailable
        If the broker does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="deduplab-kafka-") as scratch:
        aside = kafka.class_archive.with_name(f".{kafka.class_archive.name}-{os.getpid()}")
        server = KafkaServer(
            Path(scratch),
            variant="",
            durability="none",
            kafka=kafka,
            java_options=(f"-XX:ArchiveClassesAtExit={aside}",),
        )
        try:
            server.start()
            server.stop()
            aside.rename(kafka.class_archive)
        finally:
            server.stop()
            aside.unlink(missing_ok=True)
    return kafka.class_archive
