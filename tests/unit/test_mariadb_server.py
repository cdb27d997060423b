"""MariaDB's recipe without a server: its installer's errors are told, not its advice alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from deduplab.errors import SystemUnavailable
from deduplab.servers import mariadb
from deduplab.servers._mariadb_binaries import Programs
from deduplab.servers.mariadb import MariadbServer


def test_the_errors_of_the_installer_are_told_behind_its_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = tmp_path / "installer"
    installer.write_text(
        "#!/bin/sh\necho '0 [ERROR] InnoDB: no room'\n"
        "for line in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo advice; done\nexit 1\n"
    )
    installer.chmod(0o755)
    monkeypatch.setattr(mariadb, "find", lambda: Programs(installer, installer))
    monkeypatch.setattr(mariadb, "unprivileged_account", lambda: None)
    server = MariadbServer(tmp_path, variant="default", durability="fsync")
    with pytest.raises(SystemUnavailable, match=r"exit code 1(.|\n)*\[ERROR\] InnoDB: no room"):
        server.start()
