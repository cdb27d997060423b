"""How an administrator of a system behind the REST contract applies the written rights."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace

from deduplab.server import Endpoint
from tests.contract.administrator import Administrator
from tests.contract.gate import gate


class RestAdministrator(Administrator):
    """Reads the words of the text, and has the gate let through what they say."""

    system = "rest"
    lives = (("default", "fsync"), ("plain", "none"))
    late_right = "DELETE"

    def start(self) -> None:
        super().start()
        self._stack = ExitStack()

    def stop(self) -> None:
        self._stack.close()
        super().stop()

    def as_user(self) -> Endpoint:
        return replace(super().as_user(), port=self._gate.server_address[1])

    def run(self, text: str) -> None:
        token = re.search(r"token (\S+) to", text)
        name = re.search(r'databases "(\w+)\.\.\."', text)
        methods = re.search(
            r"^(.*) /v1/databases/\{database\}, and everything below it$", text, re.M
        )
        assert token
        assert name
        assert methods
        assert re.search(r"^GET /v1/health$", text, re.M)
        self._gate = self._stack.enter_context(gate(self.endpoint, prefix=name[1]))
        self._rights = [*methods[1].split(", "), "below", "GET /v1/health"]
        self._gate.tokens[token[1]] = set(self._rights)

    def rights(self) -> list[str]:
        return list(self._rights)

    def revoke(self, right: str) -> None:
        self._gate.tokens[self.password.reveal()].remove(right)

    def restore(self, right: str) -> None:
        self._gate.tokens[self.password.reveal()].add(right)
