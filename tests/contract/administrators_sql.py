"""How administrators of PostgreSQL and MariaDB apply the written rights."""

from __future__ import annotations

import re
from dataclasses import replace

from deduplab.server import Endpoint
from deduplab.servers.postgresql import PostgresqlServer
from tests.contract.administrator import USER, Administrator, checked
from tests.contract.looks_mariadb import MariadbLook


class PostgresqlAdministrator(Administrator):
    """Runs the text by ``psql``, as an administrator would."""

    system = "postgresql"
    lives = (("default", "fsync"), ("unique-content", "fsync"))
    late_right = "pg_checkpoint"
    limits_names = False

    def as_user(self) -> Endpoint:
        return replace(super().as_user(), database=USER)

    def run(self, text: str) -> None:

        assert isinstance(self.server, PostgresqlServer)
        assert self.endpoint.secret is not None
        command = [
            str(self.server.binaries / "psql"), "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--quiet",
            f"--host={self.endpoint.host}", f"--port={self.endpoint.port}",
            f"--username={self.endpoint.user}", f"--dbname={self.endpoint.database}",
        ]  # fmt: skip
        checked(command, text, {"PGPASSWORD": self.endpoint.secret.reveal()})

    def rights(self) -> list[str]:
        text = self.text.partition("\\connect")
        found = []
        for statement in re.findall(r"^GRANT (.*) TO ", text[0] + text[2], re.MULTILINE):
            if match := re.fullmatch(r"(.*) (ON DATABASE .*)", statement):
                found += [f"{one.strip()} {match[2]}" for one in match[1].split(",")]
            else:
                found.append(statement)
        return found

    def revoke(self, right: str) -> None:
        self.run(f'\\connect "{USER}"\nREVOKE {right} FROM "{USER}";\n')
        if right.startswith(("CONNECT", "TEMPORARY")):  # everybody has these by default
            self.run(f"REVOKE {right} FROM PUBLIC;\n")

    def restore(self, right: str) -> None:
        self.run(f'\\connect "{USER}"\nGRANT {right} TO "{USER}";\n')

    def make_foreign(self, namespace: str) -> None:
        """Make a schema as the database's administrator."""
        self.run(f'\\connect "{USER}"\nCREATE SCHEMA "{namespace}";\n')


class MariadbAdministrator(Administrator):
    """Runs the text by the raw connection; this server is not reached over a network."""

    system = "mariadb"
    lives = (("default", "fsync"), ("unique-content", "fsync"), ("myrocks", "fsync"))
    brought_up_as = "myrocks"
    late_right = "DELETE ON `deduplab%`.*"

    def run(self, text: str) -> None:

        spelled = text.replace(" REQUIRE SSL", "").replace("@'%'", "@'127.0.0.1'")
        for statement in spelled.splitlines():
            if not statement.startswith("--"):
                MariadbLook().rows(self.endpoint, statement.rstrip(";"))

    def rights(self) -> list[str]:
        found = []
        for names, where in re.findall(r"^GRANT (.*) (ON .*) TO ", self.text, re.MULTILINE):
            found += [f"{one.strip()} {where}" for one in names.split(",")]
        return found

    def revoke(self, right: str) -> None:
        self.run(f"REVOKE {right} FROM '{USER}'@'127.0.0.1'")

    def restore(self, right: str) -> None:
        self.run(f"GRANT {right} TO '{USER}'@'127.0.0.1'")
