"""The recipe of CockroachDB: why it is not there, and the commands where the program is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint, Secret
from deduplab.servers.cockroachdb import CockroachdbServer, find


def test_without_the_program_the_reason_and_the_way_out_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server = CockroachdbServer(tmp_path, variant="default", durability="fsync")
    with pytest.raises(SystemUnavailable, match=r"its own licence.*\[systems.cockroachdb.remote\]"):
        server.start()
    server.stop()
    assert server.processes() == ()


def test_a_node_of_our_own_has_certificates_and_listens_on_loopback(tmp_path: Path) -> None:
    server = CockroachdbServer(tmp_path, variant="default", durability="fsync")
    command = server.command(Path("cockroach"), 26257, 8080)
    assert command[1] == "start-single-node"
    assert "--insecure" not in command
    assert f"--certs-dir={tmp_path / 'certificates'}" in command
    assert "--listen-addr=127.0.0.1:26257" in command
    assert "--http-addr=127.0.0.1:8080" in command
    assert sum(word.startswith("--store=") for word in command) == 1
    made = [words[1:3] for words in server.certificate_commands(Path("cockroach"))]
    assert made == [("cert", "create-ca"), ("cert", "create-node"), ("cert", "create-client")]


def test_a_program_that_makes_no_certificates_is_told_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "cockroach"
    program.write_text('#!/bin/sh\necho \'no licence\' "$1" "$2"\nexit 7\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find() == program
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    server = CockroachdbServer(workspace, variant="default", durability="fsync")
    with pytest.raises(SystemUnavailable, match=r"exit code 7(.|\n)*no licence cert create-ca"):
        server.start()
    server.stop()


def test_a_node_that_finds_its_port_taken_tries_others_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "cockroach"
    program.write_text(
        '#!/bin/sh\n[ "$1" = cert ] && exit 0\n'
        'echo "started: $* $COCKROACH_SKIP_ENABLING_DIAGNOSTIC_REPORTING"\n'
        'echo "listen tcp: bind: address already in use"\nexit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    server = CockroachdbServer(workspace, variant="default", durability="fsync")
    with pytest.raises(SystemUnavailable, match="ended with exit code 1 before it answered"):
        server.start()
    assert server.processes() == ()
    starts = [line for line in server.log.read_text().splitlines() if "started: " in line]
    assert len({line.split("--listen-addr=")[1].split()[0] for line in starts}) > 1
    assert all(line.endswith("--external-io-dir=disabled true") for line in starts)


def test_its_client_logs_in_by_a_variable_and_trusts_the_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(
        host="127.0.0.1",
        port=26257,
        user="lab",
        secret=Secret("p/w:d"),
        database="defaultdb",
        options={"ssl_ca": "/certificates/ca.crt"},
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemUnavailable, match="there is no 'cockroach' on the search path"):
        CockroachdbServer.client(endpoint, tmp_path)
    program = tmp_path / "cockroach"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    client = CockroachdbServer.client(endpoint, tmp_path)
    assert client.argv == (str(program), "sql")
    url = urlsplit(client.environment["COCKROACH_URL"])
    assert (url.hostname, url.port, url.path) == ("127.0.0.1", 26257, "/defaultdb")
    assert (url.username, unquote(url.password or "")) == ("lab", "p/w:d")
    assert parse_qs(url.query) == {
        "sslmode": ["verify-full"],
        "sslrootcert": ["/certificates/ca.crt"],
    }
    assert "p/w:d" not in repr(client)


def test_rights_name_no_password_and_no_role_admin() -> None:
    text = CockroachdbServer.grants("somebody")
    statements = [line for line in text.splitlines() if not line.startswith("--")]
    assert statements[0] == ("CREATE USER \"somebody\" WITH LOGIN PASSWORD '<password>' CREATEDB;")
    assert all(line.endswith('TO "somebody";') for line in statements[1:])
    assert not any("admin" in line for line in statements)
