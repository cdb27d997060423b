"""How administrators of MinIO and SeaweedFS apply the written rights."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import psutil

from deduplab.servers._seaweedfs_binaries import find
from deduplab.servers.minio import MinioServer, _administrator
from tests.contract.administrator import USER, Administrator, checked


class MinioAdministrator(Administrator):
    """Reads the commands of ``mc`` and does by the vendor's client what they say."""

    system = "minio"
    lives = (("default", "fsync"), ("versioning", "fsync"))
    late_right = "s3:DeleteObject"

    def run(self, text: str) -> None:
        match = re.search(r"<<'END'\n(.*)\nEND\n", text, re.DOTALL)
        assert match is not None
        self._policy = json.loads(match[1])
        for line in text[match.end() :].splitlines():
            words = shlex.split(line)
            if words[:4] == ["mc", "admin", "user", "add"]:
                self._admin().user_add(*words[5:])
            elif words[:4] == ["mc", "admin", "policy", "create"]:
                self._name = words[5]
                self._admin().policy_add(self._name, policy=self._policy)
            else:
                assert words[:4] == ["mc", "admin", "policy", "attach"], line
                self._admin().policy_set(words[5], user=words[7])

    def rights(self) -> list[str]:
        return [one for statement in self._policy["Statement"] for one in statement["Action"]]

    def revoke(self, right: str) -> None:
        left = [
            {**statement, "Action": [one for one in statement["Action"] if one != right]}
            for statement in self._policy["Statement"]
        ]
        reduced = {**self._policy, "Statement": [one for one in left if one["Action"]]}
        self._admin().policy_add(self._name, policy=reduced)

    def restore(self, right: str) -> None:
        self._admin().policy_add(self._name, policy=self._policy)

    def _admin(self) -> Any:

        assert isinstance(self.server, MinioServer)
        assert self.endpoint.port is not None
        assert self.server._root is not None
        return _administrator(self.endpoint.port, self.server._root)


class SeaweedfsAdministrator(Administrator):
    """Runs the text in ``weed shell``."""

    system = "seaweedfs"
    lives = (("default", "none"), ("versioning", "none"))
    late_right = "Admin"

    def run(self, text: str) -> None:

        (process,) = map(psutil.Process, self.server.processes())
        words = [word.partition("=") for word in process.cmdline() if word.startswith("-")]
        given = {name.lstrip("-"): value for name, _, value in words}
        where = {
            part: f"127.0.0.1:{given[f'{part}.port']}.{given[f'{part}.port.grpc']}"
            for part in ("master", "filer")
        }
        command = [str(find()), "shell", *(f"-{part}={address}" for part, address in where.items())]
        keys = {k: v for k, v in process.environ().items() if k.startswith("WEED_")}
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        checked(command, "lock\n" + "\n".join(lines) + "\nunlock\nexit\n", keys)

    def rights(self) -> list[str]:
        match = re.search(r"-actions (\S+)", self.text)
        assert match is not None
        return match[1].split(",")

    def revoke(self, right: str) -> None:
        assert right == "Admin"
        self._reset(["Read", "Write", "List", "Tagging"])  # all that Admin comprises

    def restore(self, right: str) -> None:
        self._reset(self.rights())

    def _reset(self, actions: list[str]) -> None:
        line = re.sub(r"-actions \S+", f"-actions {','.join(actions)}", self.text.strip())
        self.run(f"s3.configure -user {USER} -delete -apply\n{line}\n")
