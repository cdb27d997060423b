"""A private Kafka that speaks TLS too, at a port of its own."""

from __future__ import annotations

from pathlib import Path

from deduplab.servers._kafka_settings import HOST
from deduplab.servers._process import free_port
from deduplab.servers.kafka import KafkaServer

_LOGIN = "listener.name.client.scram-sha-512.sasl.jaas.config="


class KafkaByTls(KafkaServer):
    """Has a third listener, ``SASL_SSL``, whose certificate and key are in one file of PEM."""

    def __init__(self, workspace: Path, certificate: tuple[Path, Path]) -> None:
        super().__init__(workspace, variant="default", durability="fsync")
        self.tls_port = 0
        self._certificate = certificate

    def _configure(self, client: int, controller: int) -> None:
        super()._configure(client, controller)
        self.tls_port = free_port()
        store = self.workspace / "server.pem"
        store.write_text("".join(path.read_text() for path in self._certificate[::-1]))
        text = self.properties.read_text()
        (login,) = (line for line in text.splitlines() if line.startswith(_LOGIN))
        more = {
            "listeners": f",TLS://{HOST}:{self.tls_port}",
            "advertised.listeners": f",TLS://{HOST}:{self.tls_port}",
            "listener.security.protocol.map": ",TLS:SASL_SSL",
        }
        lines = [line + more.get(line.partition("=")[0], "") for line in text.splitlines()]
        lines += [
            login.replace("name.client", "name.tls"),
            "listener.name.tls.sasl.enabled.mechanisms=SCRAM-SHA-512",
            "listener.name.tls.ssl.keystore.type=PEM",
            f"listener.name.tls.ssl.keystore.location={store}",
        ]
        self.properties.write_text("".join(f"{line}\n" for line in lines))
