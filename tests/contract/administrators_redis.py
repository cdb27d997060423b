"""How administrators of Redis and Valkey apply the written rights."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import Any, ClassVar

from deduplab.adapters._resp import Resp
from deduplab.server import Endpoint, Secret
from tests.contract.administrator import USER, Administrator

_APPENDFSYNC = {"fsync": "always", "interval": "everysec"}


class RedisAdministrator(Administrator):
    """Runs the text over a connection of an administrator that is put into the file of users."""

    system = "redis"
    lives: ClassVar[tuple[tuple[str, str], ...]] = (
        ("string", "fsync"),
        ("hash", "fsync"),
        ("rdb", "fsync"),
    )
    not_by_a_verb: ClassVar = {"+ping": "whoever brings the server up, and redis-cli"}
    late_right = "+memory|purge"

    def start(self) -> None:
        super().start()
        # The private instance knows no administrator: one is written beside its user.
        self._root = Secret(secrets.token_urlsafe(18))
        users = self.server.workspace / "users.acl"
        self.server.stop()
        with users.open("a") as file:
            file.write(f"user root on >{self._root.reveal()} ~* &* +@all\n")
        super().start()

    def as_user(self) -> Endpoint:
        return replace(super().as_user(), database="0")

    def run(self, text: str) -> None:
        connection = Resp.connect(replace(self.endpoint, user="root", secret=self._root))
        try:
            for line in text.splitlines():
                if not line.startswith("#") and not self._too_new(connection, line):
                    assert connection.call(*(word.encode() for word in line.split())) == b"OK"
        finally:
            connection.close()

    def live_with(self, durability: str) -> None:
        self.run(f"CONFIG SET appendfsync {_APPENDFSYNC[durability]}")

    def _too_new(self, connection: Any, line: str) -> bool:
        """Whether this is the line for servers since 7.2, and the server is older."""
        return "waitaof" in line and not connection.call(b"COMMAND", b"INFO", b"WAITAOF")[0]

    def rights(self) -> list[str]:
        connection = Resp.connect(replace(self.endpoint, user="root", secret=self._root))
        try:
            taken = [one for one in self.text.splitlines() if not self._too_new(connection, one)]
        finally:
            connection.close()
        return re.findall(r"(?<= )\+\S+", "\n".join(taken))

    def revoke(self, right: str) -> None:
        self.run(f"ACL SETUSER {USER} -{right[1:]}")

    def restore(self, right: str) -> None:
        self.run(f"ACL SETUSER {USER} {right}")


class ValkeyAdministrator(RedisAdministrator):
    """The same for Valkey."""

    system = "valkey"
    lives = (*RedisAdministrator.lives, ("string", "interval"))
