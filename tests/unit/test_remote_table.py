"""The table of a remote server: keys, options of a system, TLS, and what they become."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deduplab import config
from deduplab.adapters._tls import Tls
from deduplab.bench import matrix
from deduplab.cell import RemoteAddress
from deduplab.errors import PlanError, SystemUnavailable
from deduplab.remote import RemoteServer
from deduplab.remote_table import written
from deduplab.server import Endpoint, Secret
from tests.contract.certificates import self_signed

PLAN = """\
name = "small"
stages = ["bulk"]
[data]
payloads = ["random_binary"]
grades = ["U0"]
logical_size = "1 MiB"
object_size = "8 KiB"
[systems.{system}]
[systems.{system}.remote]
host = "db.example.org"
port = 8333
{more}
"""


def address_of(system: str, *more: str) -> RemoteAddress:
    durability = 'durability = "none"\n' if system == "seaweedfs" else ""
    text = durability + PLAN.format(system=system, more="\n".join(more))
    (cell,) = {
        dataclasses.replace(cell, repetition=1)
        for cell in matrix.cells(config.parse(text, origin="p.toml"))
    }
    assert cell.remote is not None
    return cell.remote


def test_tls_is_verified_and_the_user_is_that_of_the_written_rights() -> None:
    address = address_of("postgresql")
    assert address == RemoteAddress("db.example.org", 8333, "deduplab")
    assert (address.tls, address.ssl_ca, address.options) == ("verify", None, ())


@pytest.mark.parametrize(
    ("system", "endpoint"),
    [
        ("postgresql", Endpoint(host="127.0.0.1", port=5, user="lab", database="d")),
        ("cockroachdb", Endpoint(host="127.0.0.1", port=5, options={"ssl_ca": "/ca.crt"})),
        (
            "seaweedfs",
            Endpoint(host="::1", port=5, options={"master": "m:1", "shell.master": "m:1.2"}),
        ),
    ],
)
def test_what_is_written_is_read_again(system: str, endpoint: Endpoint) -> None:
    secret = Secret("never shown", 'file:/a folder/with "quotes"')
    text = written(system, dataclasses.replace(endpoint, secret=secret))
    assert "never shown" not in text
    durability = 'durability = "none"\n' if system == "seaweedfs" else ""
    plan = durability + PLAN.split("[systems.{system}]")[0] + text
    address = matrix.cells(config.parse(plan, origin="p.toml"))[0].remote
    authority = endpoint.options.get("ssl_ca")
    assert address == RemoteAddress(
        host=str(endpoint.host),
        port=5,
        user=endpoint.user or "deduplab",
        database=endpoint.database,
        secret=secret.source,
        tls="verify" if authority else "off",
        ssl_ca=authority,
        options=(("master", "m:1"),) if system == "seaweedfs" else (),
    )


def test_options_are_those_that_the_adapter_declares() -> None:
    address = address_of("seaweedfs", 'volumes = "a:1,b:2"', 'master = "m:9333"', 'region = "x"')
    assert address.options == (("master", "m:9333"), ("region", "x"), ("volumes", "a:1,b:2"))
    assert address_of("rest", 'base_path = "/lab"').options == (("base_path", "/lab"),)


@pytest.mark.parametrize(
    ("system", "line", "words"),
    [
        ("seaweedfs", 'volume = "a:1"', "did you mean 'volumes'"),
        ("postgresql", 'base_path = "/x"', "unknown key 'base_path'"),
        ("rest", 'base_paht = "/x"', "did you mean 'base_path'"),
        ("redis", 'tls = "of"', "did you mean 'off'"),
        ("redis", "tls = false", "unknown way of TLS 'False'"),
        ("redis", 'tls = "off"\nssl_ca = "ca.pem"', "leave one out"),
        ("redis", 'secret = "word"', "by reference"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(system: str, line: str, words: str) -> None:
    with pytest.raises(PlanError, match=r"p\.toml:\d+") as caught:
        address_of(system, line)
    assert words in str(caught.value)


def test_a_port_is_one() -> None:
    text = PLAN.format(system="redis", more="").replace("8333", "83330")
    with pytest.raises(PlanError, match="at most 65535"):
        config.parse(text, origin="p.toml")


def test_every_declared_key_gives_another_cell() -> None:
    texts = ("", 'tls = "off"', 'ssl_ca = "a.pem"', 'ssl_ca = "b.pem"', 'base_path = "/x"')
    ids = set()
    for more in texts:
        plan = config.parse(PLAN.format(system="rest", more=more), origin="p.toml")
        ids |= {cell.cell_id for cell in matrix.cells(plan) if cell.repetition == 1}
    assert len(ids) == len(texts)


def test_the_endpoint_has_the_options_and_a_file_that_was_read(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path, "authority")
    address = RemoteAddress("h", 1, "u", ssl_ca=str(certificate), options=(("base_path", "/lab"),))
    endpoint = RemoteServer(address, tmp_path, "fsync").start()
    assert endpoint.options == {"base_path": "/lab", "tls": "verify", "ssl_ca": str(certificate)}
    assert Tls.of(endpoint) == Tls(str(certificate))
    assert endpoint.directory is None
    for wrong in (tmp_path / "none.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_text("no certificate")
        with pytest.raises(PlanError, match=r"ssl_ca: the certificates in .* can't be used"):
            RemoteServer(dataclasses.replace(address, ssl_ca=str(wrong)), tmp_path, "fsync").start()
        with pytest.raises(SystemUnavailable, match="can't be used"):
            Tls(str(wrong)).context()


@pytest.mark.parametrize(
    ("host", "options", "expected"),
    [
        ("127.0.0.1", {}, None),
        ("::1", {}, None),
        ("db.example.org", {}, Tls()),
        ("127.0.0.1", {"tls": "verify"}, Tls()),
        ("db.example.org", {"tls": "off"}, None),
        ("127.0.0.1", {"ssl_ca": "a.pem"}, Tls("a.pem")),
    ],
)
def test_only_a_private_server_on_loopback_is_spoken_to_plainly_unasked(
    host: str, options: dict[str, str], expected: Tls | None
) -> None:
    assert Tls.of(Endpoint(host=host, options=options)) == expected
