"""A private Kafka: one node of Apache's broker, on loopback, with generated passwords.

The node is broker and controller (KRaft). Its storage is formatted by the
product's own tool, which also writes the users' credentials (SCRAM-SHA-512).
See docs/systems/kafka.md for every setting that differs from the product's
default, and why.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._kafka_binaries import Kafka, find
from deduplab.servers._kafka_rights import grant
from deduplab.servers._kafka_settings import (
    ADMINISTRATOR,
    HOST,
    MECHANISM,
    client_properties,
    server_properties,
    write_private,
)
from deduplab.servers._process import (
    ChildProcess,
    free_port,
    log_tail,
    started_on_a_free_port,
)

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

USER: Final = "deduplab"
DURABILITIES: Final = ("fsync", "interval", "none")

_FORMAT_S: Final = 60.0
_READY_S: Final = 60.0
_ANSWER_S: Final = 1.0
_STOP_STEPS: Final = ((signal.SIGTERM, 30.0),)
_MAINS: Final = {"format": "kafka.tools.StorageTool", "broker": "kafka.Kafka"}

JAVA_OPTIONS: Final = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


class KafkaServer(Server):
    """One private Kafka node.

    Parameters
    ----------
    kafka
        The Kafka to run; that of :func:`find` where it is not given.
    java_options
        Options of the Java virtual machine, beside :data:`JAVA_OPTIONS`.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        variant: str,
        durability: str,
        kafka: Kafka | None = None,
        java_options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        if durability not in DURABILITIES:
            raise Unsupported(
                f"kafka has no durability {durability!r}; it has: {', '.join(DURABILITIES)}"
            )
        self.data = workspace / "data"
        self.log = workspace / "kafka.log"
        self.properties = workspace / "server.properties"
        self._kafka = kafka
        self._java_options = java_options
        self._child: ChildProcess | None = None
        self._secret = Secret("")
        self._administrator = Secret("")
        self._controller = Secret("")
        self._endpoint: Endpoint | None = None
        self._formatted = False
        self._granted = False

    @property
    def kafka(self) -> Kafka:
        """The Kafka that this instance runs.

        Raises
        ------
        SystemUnavailable
            If there is none.
        """
        if self._kafka is None:
            self._kafka = find()
        return self._kafka

    def start(self) -> Endpoint:
        """Format the storage where that was not done yet, start the node and log in.

        Raises
        ------
        SystemUnavailable
            If there is no Kafka, no Java or no driver, or the node does not answer
            by the deadline (with the end of its log).
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"the Kafka in {self.workspace} runs already")
        self._prepare()
        return started_on_a_free_port(
            self._start_somewhere, lambda: "BindException" in log_tail(self.log, 60)
        )

    def _start_somewhere(self) -> Endpoint:
        client, controller = _two_ports()
        self._configure(client, controller)
        if not self._formatted:
            self._format()
        return self._start_at(client)

    def stop(self) -> None:
        """Shut down in order, then by force."""
        if self._child is not None:
            self._child.stop(_STOP_STEPS)
            self._child = None

    def processes(self) -> tuple[int, ...]:
        """Return the id of the Java process."""
        return self._child.process_ids() if self._child is not None else ()

    def client_properties(self, endpoint: Endpoint) -> Path:
        """Write what the product's own clients need to log in as the lab's user; return the file.

        The file can be read by us alone, and lies in the workspace.
        """
        assert endpoint.port is not None
        path = self.workspace / "client.properties"
        write_private(path, client_properties(endpoint.port, USER, self._secret))
        return path

    def _prepare(self) -> None:
        if self._secret.reveal():
            return
        find_driver()
        self.kafka  # noqa: B018  (says what is missing before anything is made)
        self.data.mkdir(mode=0o700)
        self.log.touch(mode=0o600)
        self._secret, self._administrator, self._controller = (
            Secret(secrets.token_urlsafe(24)) for _ in range(3)
        )

    def _configure(self, client: int, controller: int) -> None:
        """Write the node's configuration; it holds passwords, so we alone can read it."""
        text = server_properties(
            self.data,
            client=client,
            controller=controller,
            administrator=self._administrator,
            controller_secret=self._controller,
        )
        write_private(self.properties, text)

    def _format(self) -> None:
        """Format the storage and write the users' credentials, by the product's own tool."""
        arguments = self.workspace / "format"
        log = self.workspace / "format.log"
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        users = ((ADMINISTRATOR, self._administrator), (USER, self._secret))
        lines = ["format", "--config", str(self.properties), f"--cluster-id={cluster}"]
        for name, secret in users:
            lines += ["--add-scram", f"{MECHANISM}=[name={name},password={secret.reveal()}]"]
        try:
            log.touch(mode=0o600)
            # Arguments by a file: a command line can be read by every user.
            write_private(arguments, "".join(f"{line}\n" for line in lines))
            child = self._spawn("format", f"@{arguments}", log=log)
            try:
                code = child.wait(deadline_s=_FORMAT_S)
            finally:
                child.stop(())
            if code != 0:
                raise SystemUnavailable(
                    f"formatting Kafka's storage ended with exit code {code}:\n{log_tail(log)}"
                )
        finally:
            arguments.unlink(missing_ok=True)
            log.unlink(missing_ok=True)
        self._formatted = True

    def _start_at(self, port: int) -> Endpoint:
        self._child = self._spawn("broker", str(self.properties), log=self.log)
        try:
            self._child.wait_ready(lambda: self._answers(port), deadline_s=_READY_S)
        except BaseException:
            self.stop()
            raise
        self._endpoint = Endpoint(
            directory=self.data,
            host=HOST,
            port=port,
            user=USER,
            secret=self._secret,
            options={"product.version": self.kafka.version},
        )
        return self._endpoint

    def _spawn(self, what: str, *arguments: str, log: Path) -> ChildProcess:
        options = [*JAVA_OPTIONS, *self._java_options]
        if not self._java_options and self.kafka.class_archive.is_file():
            options.append(f"-XX:SharedArchiveFile={self.kafka.class_archive}")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "JAVA_TOOL"))}
        return ChildProcess(
            f"kafka ({what})",
            self.kafka.command(options, _MAINS[what], *arguments),
            log=log,
            environment=kept,
            directory=self.workspace,
        )

    def _answers(self, port: int) -> bool:
        """Whether the node answers its administrator, who then grants the lab's user its rights."""
        from confluent_kafka import KafkaException

        if not _listens(port):
            return False
        admin = _administration(port, self._administrator)
        try:
            topics = admin.list_topics(timeout=_ANSWER_S)
            if not topics.brokers:
                return False
            if not self._granted:
                grant(admin, USER)
                self._granted = True
        except KafkaException:
            return False
        return True


def find_driver() -> None:
    """Raise SystemUnavailable where the client library is missing."""
    try:
        import confluent_kafka.admin  # noqa: F401
    except ImportError as error:
        raise SystemUnavailable(
            f"kafka: its driver 'confluent_kafka' can't be imported ({error}); "
            "install it with: pip install 'deduplab[kafka]'"
        ) from error


def _two_ports() -> tuple[int, int]:
    client = controller = free_port()
    while controller == client:
        controller = free_port()
    return client, controller


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), _ANSWER_S).close()
    except OSError:
        return False
    return True


def _administration(port: int, secret: Secret) -> AdminClient:
    from confluent_kafka.admin import AdminClient

    settings: dict[str, Any] = {
        "bootstrap.servers": f"{HOST}:{port}",
        "broker.address.family": "v4",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": MECHANISM,
        "sasl.username": ADMINISTRATOR,
        "sasl.password": secret.reveal(),
        "log_level": 0,
    }
    return AdminClient(settings)
