"""How an administrator of a NATS server applies the written rights."""

from __future__ import annotations

import re
import signal
import time

import psutil

from deduplab.servers.nats import NatsServer
from tests.contract.administrator import NAMESPACES, Administrator
from tests.contract.looks_nats import NatsLook

_RELOADED = "Reloaded server configuration"
_RELOAD_S = 20.0
_RIGHT = re.compile(r'^ {10}"([^"]+)"  #', re.MULTILINE)
_IMPORTS = re.compile(r"^ *imports:.*\n", re.MULTILINE)


class NatsAdministrator(Administrator):
    """Puts the text into the server's configuration in place of its accounts, and reloads it."""

    system = "nats"
    lives = (("default", "fsync"), ("unique-content", "fsync"))
    late_right = "$JS.API.STREAM.PURGE.*"
    limits_names = False

    def run(self, text: str) -> None:
        server = self.server
        assert isinstance(server, NatsServer)
        before = server.configuration.read_text()
        settings = before[: before.index("accounts {")].split("# For the server's")[0]
        server.configuration.write_text(settings + text)
        reloads = server.log.read_text().count(_RELOADED)
        psutil.Process(server.processes()[0]).send_signal(signal.SIGHUP)
        deadline = time.monotonic() + _RELOAD_S
        while server.log.read_text().count(_RELOADED) == reloads:
            assert time.monotonic() < deadline, server.log.read_text()[-800:]
            time.sleep(0.01)

    def rights(self) -> list[str]:
        return [*_RIGHT.findall(self.text), "imports"]

    def revoke(self, right: str) -> None:
        if right == "imports":
            self.run(_IMPORTS.sub("", self.text))
            return
        # A list that allows nothing would allow everything.
        assert self.text.count(f'          "{right}"  #') == 1
        self.run(self.text.replace(f'          "{right}"  #', '          "nothing"  #'))

    def restore(self, right: str) -> None:
        self.run(self.text)

    def make_foreign(self, namespace: str) -> None:
        """Make streams as another user of the account."""
        assert not namespace.startswith(NAMESPACES)
        NatsLook().make_foreign(self.as_user(), namespace)
