"""What of Kafka's recipe needs no broker: where it is looked for, what is pinned and written."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deduplab.adapters import _kafka_topics
from deduplab.adapters.kafka import KafkaAdapter
from deduplab.cache_folder import CACHE_VARIABLE
from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.server import Secret
from deduplab.servers import _kafka_binaries, _kafka_rights
from deduplab.servers._kafka_binaries import (
    LIBRARIES_VARIABLE,
    VERSION,
    Kafka,
    artefacts,
    check_artefacts,
    find,
    find_java,
    project,
)
from deduplab.servers._kafka_settings import client_properties, server_properties
from deduplab.servers._private_server import write_private
from deduplab.servers.kafka import KafkaServer


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = _program(tmp_path / "jdk" / "bin" / "java", "echo 'openjdk version \"17.0.1\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(path.parent.parent))
    return path


def test_every_artefact_is_pinned_once_by_version_and_digest() -> None:
    pinned = artefacts()
    assert pinned["org.apache.kafka:kafka_2.13:" + VERSION]
    for coordinates, digest in pinned.items():
        assert re.fullmatch(r"[\w.-]+:[\w.-]+:\d[\w.-]*", coordinates)
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
    names = [coordinates.rpartition(":")[0] for coordinates in pinned]
    assert len(set(names)) == len(names)


def test_the_project_names_each_artefact_and_nothing_behind_it() -> None:
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    found = ElementTree.fromstring(project()).findall(".//m:dependency", space)
    named = {
        ":".join(
            str(entry.findtext(f"m:{part}", namespaces=space))
            for part in ("groupId", "artifactId", "version")
        )
        for entry in found
    }
    assert named == set(artefacts())
    assert all(entry.find("m:exclusions", space) is not None for entry in found)


def test_other_files_than_the_pinned_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    monkeypatch.setattr(_kafka_binaries, "artefacts", lambda: {"g:a:1": digest})
    with pytest.raises(SystemUnavailable, match=r"a-1\.jar"):
        check_artefacts(tmp_path)
    (tmp_path / "a-1.jar").write_bytes(b"abc")
    check_artefacts(tmp_path)
    (tmp_path / "b-1.jar").write_bytes(b"")
    with pytest.raises(SystemUnavailable, match=r"b-1\.jar"):
        check_artefacts(tmp_path)
    (tmp_path / "b-1.jar").unlink()
    (tmp_path / "a-1.jar").write_bytes(b"abd")
    with pytest.raises(SystemUnavailable, match="SHA-256"):
        check_artefacts(tmp_path)


def test_a_named_directory_is_taken_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.delenv(LIBRARIES_VARIABLE, raising=False)
    with pytest.raises(SystemUnavailable, match="systems install kafka"):
        find()
    installed = tmp_path / f"kafka-{VERSION}"
    installed.mkdir()
    (installed / f"kafka_2.13-{VERSION}.jar").touch()
    assert find() == Kafka(installed, str(java), VERSION)
    monkeypatch.setenv(LIBRARIES_VARIABLE, str(tmp_path / "own"))
    with pytest.raises(SystemUnavailable, match=LIBRARIES_VARIABLE):
        find()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "kafka_2.13-4.1.0.jar").touch()
    assert find().version == "4.1.0"


@pytest.mark.parametrize(
    ("says", "reason"), [('openjdk version "11.0.2"', "11.0.2"), ("", "no version")]
)
def test_an_old_java_is_refused(java: Path, says: str, reason: str) -> None:
    _program(java, f"echo '{says}' >&2" if says else "exit 1")
    with pytest.raises(SystemUnavailable, match=reason):
        find_java()


def test_without_java_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemUnavailable, match="apt-get install"):
        find_java()


def test_installing_without_tools_and_rights_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemUnavailable, match=r"apt-get install .* maven"):
        _kafka_binaries.install(lambda words: None)
    assert not (tmp_path / "cache" / f"kafka-{VERSION}").exists()


def test_a_failed_fetch_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: Path
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    for name in ("java", "mvn"):
        _program(tmp_path / "bin" / name, "echo 'no such thing here'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    with pytest.raises(SystemUnavailable, match="no such thing here"):
        _kafka_binaries.install(lambda words: None)
    assert list(cache.iterdir()) == []


def test_an_unknown_durability_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="interval"):
        KafkaServer(tmp_path, variant="", durability="no-such")
    assert list(tmp_path.iterdir()) == []


def test_both_listeners_are_on_loopback_and_ask_for_a_login() -> None:
    text = server_properties(
        "data",
        client=1,
        controller=2,
        administrator=Secret("first"),
        controller_secret=Secret("second"),
    )
    settings = dict(line.split("=", 1) for line in text.splitlines())
    assert settings["listeners"] == "CLIENT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert "PLAINTEXT" not in re.sub("SASL_PLAINTEXT", "", text)
    assert settings["listener.name.client.sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
    assert settings["super.users"] == "User:administrator"
    assert (
        'user_administrator="second"' in settings["listener.name.controller.plain.sasl.jaas.config"]
    )


def test_a_follower_is_a_broker_alone_and_internal_topics_lie_on_all() -> None:
    secrets = {"administrator": Secret("first"), "controller_secret": Secret("second")}

    def settings(node: int, replicas: int) -> dict[str, str]:
        text = server_properties(
            "data", client=1, controller=2, node=node, replicas=replicas, **secrets
        )
        return dict(line.split("=", 1) for line in text.splitlines())

    first, follower, alone = settings(1, 3), settings(3, 3), settings(1, 1)
    assert (first["process.roles"], first["node.id"]) == ("broker,controller", "1")
    assert (follower["process.roles"], follower["node.id"]) == ("broker", "3")
    assert follower["listeners"] == follower["advertised.listeners"] == "CLIENT://127.0.0.1:1"
    assert first["controller.quorum.voters"] == "1@127.0.0.1:2"
    assert first["controller.quorum.voters"] == follower["controller.quorum.voters"]
    for name in ("offsets.topic.replication.factor", "transaction.state.log.min.isr"):
        assert (first[name], follower[name], alone[name]) == ("3", "3", "1")
    assert first["min.insync.replicas"] == first["default.replication.factor"] == "3"
    assert not {"min.insync.replicas", "default.replication.factor"} & set(alone)


def test_client_properties_are_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "client.properties"
    path.write_text("old")
    write_private(path, client_properties(9, "somebody", Secret("word")))
    assert path.stat().st_mode & 0o777 == 0o600
    assert 'username="somebody" password="word"' in path.read_text()
    assert "bootstrap.servers=127.0.0.1:9\n" in path.read_text()


def test_rights_end_at_the_lab() -> None:
    assert _kafka_rights.PREFIX == _kafka_topics.TOPIC_PREFIX
    lines = [line for line in _kafka_rights.grants("me").splitlines() if line[0] != "#"]
    assert len(lines) == 1 + len(_kafka_rights.RIGHTS)
    assert "--entity-name me" in lines[0]
    for line in lines[1:]:
        assert "--allow-principal User:me" in line
        assert "--operation All" not in line
        if "--cluster" in line:
            operations = set(re.findall(r"--operation (\w+)", line))
            assert operations == {"Describe", "DescribeConfigs"}
        else:
            assert "deduplab. --resource-pattern-type prefixed" in line


@pytest.mark.parametrize("operation", ["Read", "AlterConfigs", "DescribeConfigs"])
def test_operations_are_spelled_for_the_client(operation: str) -> None:
    spelled = _kafka_rights._spelled(operation)
    assert spelled.replace("_", "").lower() == operation.lower()
    assert spelled.isupper()


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("deduplab.x.objects-0/00000000000000000000.log", "data"),
        ("deduplab.x.objects-0/00000000000000000000.index", "index"),
        ("deduplab.x.objects-0/00000000000000000000.timeindex", "index"),
        ("deduplab.x.objects-0/00000000000000000000.log.deleted", "temporary"),
        ("deduplab.x.objects-0/00000000000000000000.log.cleaned", "temporary"),
        ("deduplab.x.objects-0/00000000000000000000.log.swap", "temporary"),
        ("deduplab.x.objects-0.00aa-delete/00000000000000000000.log", "temporary"),
        ("deduplab.x.objects-0/00000000000000000007.snapshot", "metadata"),
        ("__cluster_metadata-0/00000000000000000000.log", "metadata"),
        ("cleaner-offset-checkpoint", "metadata"),
    ],
)
def test_components_of_files(path: str, component: str) -> None:
    found = next(name for glob, name in KafkaAdapter.file_components if fnmatchcase(path, glob))
    assert found == component
