"""A private Kafka: one node of Apache's broker, on loopback, with generated passwords.

The node is broker and controller (KRaft); more brokers may follow it
(``_kafka_follower``). Its storage is formatted by the product's own tool, which
also writes the users' credentials (SCRAM-SHA-512). See docs/systems/kafka.md
for every setting that differs from the product's default, and why.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

from deduplab.registry import driver_missing, system
from deduplab.server import Client, Endpoint, Secret, Server
from deduplab.servers import _kafka_rights as rights
from deduplab.servers._environment import environment_without, server_environment
from deduplab.servers._kafka_binaries import Kafka, find
from deduplab.servers._kafka_settings import (
    ADMINISTRATOR,
    CONTROLLER,
    HOST,
    MECHANISM,
    client_properties,
    server_properties,
)
from deduplab.servers._kafka_tools import TOOLS, write_commands
from deduplab.servers._private_server import (
    USER,
    PrivateServer,
    new_secret,
    write_private,
)

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.admin._metadata import ClusterMetadata

DURABILITIES: Final = ("fsync", "interval", "none")

_FORMAT_S: Final = 60.0
_ANSWER_S: Final = 1.0
_MAINS: Final = {"format": "kafka.tools.StorageTool", "broker": "kafka.Kafka"}

JAVA_OPTIONS: Final = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


_TOLD: Final = fill(
    "  ".join(TOOLS), 98, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
)
_WORDS: Final = f"""\
These commands are on the path, logged in:
{_TOLD}
$KAFKA_CLIENT_PROPERTIES is the file by which other clients log in. The user may do what a run
needs: the names of its topics and groups begin with deduplab., as in
  kafka-topics --create --topic deduplab.mine
  kafka-console-consumer --topic deduplab.mine --from-beginning --group deduplab.mine
"""


class KafkaServer(PrivateServer):
    """One private Kafka node.

    Parameters
    ----------
    kafka
        The Kafka to run; that of :func:`find` where it is not given.
    java_options
        Options of the Java virtual machine, beside :data:`JAVA_OPTIONS`.
    replicas
        The brokers of its cluster, this one included.
    """

    product = "kafka"
    title = "Kafka"
    durabilities = DURABILITIES
    ready_s = 60.0
    taken = "BindException"
    node = CONTROLLER

    def __init__(
        self,
        workspace: Path,
        *,
        variant: str,
        durability: str,
        kafka: Kafka | None = None,
        java_options: tuple[str, ...] = (),
        replicas: int = 1,
    ) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self.properties = workspace / "server.properties"
        self._kafka = kafka
        self._java_options = java_options
        self._replicas = replicas
        self._cluster = ""
        self._administrator = Secret("")
        self._controller = Secret("")
        self._formatted = False
        self._granted = False

    @classmethod
    def replicated(cls, workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
        """Return a cluster of brokers, each with a copy of every topic; the first leads all."""
        from deduplab.servers._kafka_follower import replicated  # it builds on this module

        return replicated(workspace, variant=variant, durability=durability, replicas=replicas)

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return commands of Kafka's tools, for topics ``deduplab.namespace..`` alone."""
        return rights.grants(user, namespace)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return an environment with the broker's own tools, which are logged in."""
        assert endpoint.port is not None
        assert endpoint.secret is not None
        words = client_properties(endpoint.port, str(endpoint.user), endpoint.secret)
        properties = write_private(directory / "client.properties", words)
        programs = directory / "bin"
        write_commands(find(), properties, endpoint.port, programs)
        path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
        own = {"PATH": path, "KAFKA_CLIENT_PROPERTIES": str(properties)}
        return Client((), environment_without("KAFKA_", "JAVA_TOOL", **own), _WORDS)

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

    def client_properties(self, endpoint: Endpoint) -> Path:
        """Write what the product's own clients need to log in as the lab's user; return the file.

        The file can be read by us alone, and lies in the workspace.
        """
        assert endpoint.port is not None
        assert self._secret is not None
        path = self.workspace / "client.properties"
        return write_private(path, client_properties(endpoint.port, USER, self._secret))

    def _prepare(self) -> None:
        find_driver()
        self.kafka  # noqa: B018  (says what is missing before anything is made)
        if self._secret is not None:
            return
        self._make_directories(self.data)
        self._join_cluster()

    def _join_cluster(self) -> None:
        """Make a cluster with its credentials."""
        self._secret, self._administrator, self._controller = (new_secret() for _ in range(3))
        self._cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")

    def _start_once(self) -> Endpoint:
        client, controller = self._port(), self._controller_port()
        self._configure(client, controller)
        if not self._formatted:
            self._format()
        self._launch(
            self._command("broker", str(self.properties)),
            lambda: self._answers(client),
            environment=_environment(),
        )
        return self._reached_at(client, options={"product.version": self.kafka.version})

    def _controller_port(self) -> int:
        """Return where the cluster's controller listens: here."""
        return self._port("controller")

    def _configure(self, client: int, controller: int) -> None:
        """Write the node's configuration; it holds passwords, so we alone can read it."""
        text = server_properties(
            self.data.name,
            client=client,
            controller=controller,
            administrator=self._administrator,
            controller_secret=self._controller,
            node=self.node,
            replicas=self._replicas,
        )
        write_private(self.properties, text)

    def _format(self) -> None:
        """Format the storage and write the users' credentials, by the product's own tool."""
        arguments = self.workspace / "format"
        log = self.workspace / "format.log"
        lines = ["format", "--config", str(self.properties), f"--cluster-id={self._cluster}"]
        for name, secret in self._users():
            lines += ["--add-scram", f"{MECHANISM}=[name={name},password={secret.reveal()}]"]
        try:
            log.touch(mode=0o600)
            # Arguments by a file: a command line can be read by every user.
            write_private(arguments, "".join(f"{line}\n" for line in lines))
            self._run_tool(
                "formatting Kafka's storage",
                self._command("format", f"@{arguments}"),
                deadline_s=_FORMAT_S,
                log=log,
                environment=_environment(),
            )
        finally:
            arguments.unlink(missing_ok=True)
            log.unlink(missing_ok=True)
        self._formatted = True

    def _users(self) -> Sequence[tuple[str, Secret]]:
        """Return whose credentials the storage is formatted with."""
        assert self._secret is not None
        return ((ADMINISTRATOR, self._administrator), (USER, self._secret))

    def _command(self, what: str, *arguments: str) -> list[str]:
        options = [*JAVA_OPTIONS, *self._java_options]
        if not self._java_options and self.kafka.class_archive.is_file():
            options.append(f"-XX:SharedArchiveFile={self.kafka.class_archive}")
        return self.kafka.command(options, _MAINS[what], *arguments)

    def _answers(self, port: int) -> bool:
        """Whether the node answers its administrator, who then grants the lab's user its rights."""
        from confluent_kafka import KafkaException

        if not _listens(port):
            return False
        admin = _administration(port, self._administrator)
        try:
            if not self._has_joined(admin.list_topics(timeout=_ANSWER_S)):
                return False
            if not self._granted:
                rights.grant(admin, USER)
                self._granted = True
        except KafkaException:
            return False
        return True

    def _has_joined(self, seen: ClusterMetadata) -> bool:
        """Whether the cluster, as this node sees it, has this node."""
        return bool(seen.brokers)


def _environment() -> Mapping[str, str]:
    # Java takes the names of files by the locale's letters.
    return server_environment(LC_ALL="C.UTF-8")


def find_driver() -> None:
    """Raise SystemUnavailable where the client library is missing."""
    try:
        import confluent_kafka.admin  # noqa: F401
    except ImportError as error:
        raise driver_missing(system("kafka"), error) from error


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
