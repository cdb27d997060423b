"""How an administrator of Kafka applies the written rights."""

from __future__ import annotations

import re
import shlex
from typing import Any, ClassVar

from deduplab.servers._kafka_settings import ADMINISTRATOR, client_properties
from deduplab.servers.kafka import KafkaServer, _administration
from tests.contract.administrator import NAMESPACES, USER, Administrator, checked


class KafkaAdministrator(Administrator):
    """Runs the text by Kafka's own tools; single rights by the protocol, which is faster."""

    system = "kafka"
    lives = (("delete-policy", "fsync"), ("compact-by-hash", "fsync"))
    late_right = "topic AlterConfigs"
    mains: ClassVar[dict[str, str]] = {
        "kafka-configs.sh": "kafka.admin.ConfigCommand",
        "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    }

    def run(self, text: str) -> None:

        server = self.server
        assert isinstance(server, KafkaServer)
        assert self.endpoint.port is not None
        properties = server.workspace / "administrator.properties"
        login = client_properties(self.endpoint.port, ADMINISTRATOR, server._administrator)
        properties.write_text(login)
        address = f"{self.endpoint.host}:{self.endpoint.port}"
        for line in text.replace("BROKER:PORT", address).splitlines():
            if line.startswith("#"):
                continue
            tool, *arguments = shlex.split(line.replace("ADMIN.properties", str(properties)))
            checked(server.kafka.command(("-Xmx256m",), self.mains[tool], *arguments))

    def rights(self) -> list[str]:
        found = []
        for line in self.text.splitlines():
            if "--add --allow" in line:
                resource = "cluster" if "--cluster" in line else line.split(" --")[5].split()[0]
                found += [f"{resource} {one}" for one in re.findall(r"--operation (\w+)", line)]
        return found

    def revoke(self, right: str) -> None:
        admin = self._admin()  # it must live as long as its answers are awaited
        for future in admin.delete_acls([self._entry(right, filtered=True)]).values():
            assert len(future.result(20)) == 1, "exactly this right was there"

    def restore(self, right: str) -> None:
        admin = self._admin()
        for future in admin.create_acls([self._entry(right)]).values():
            future.result(20)

    def _admin(self) -> Any:

        assert isinstance(self.server, KafkaServer)
        assert self.endpoint.port is not None
        return _administration(self.endpoint.port, self.server._administrator)

    def _entry(self, right: str, *, filtered: bool = False) -> Any:
        from confluent_kafka.admin._acl import (
            AclBinding,
            AclBindingFilter,
            AclOperation,
            AclPermissionType,
        )
        from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

        resource, operation = right.split()
        spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()
        where = {
            "topic": (ResourceType.TOPIC, f"deduplab.{NAMESPACES}", ResourcePatternType.PREFIXED),
            "group": (ResourceType.GROUP, f"deduplab.{NAMESPACES}", ResourcePatternType.PREFIXED),
            "cluster": (ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL),
        }[resource]
        kind = AclBindingFilter if filtered else AclBinding
        allow = AclPermissionType.ALLOW
        return kind(*where, f"User:{USER}", "*", AclOperation[spelled], allow)
