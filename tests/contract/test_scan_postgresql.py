"""A real table in PostgreSQL, scanned by column over the wire and by its files on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import psycopg
import pytest

from deduplab import dataset_file
from deduplab.datasets import build_dataset, export
from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint
from deduplab.servers.postgresql import PostgresqlServer
from tests.scan_call import Scan, scanning

pytestmark = pytest.mark.server

EVENTS = Path(__file__).parents[1] / "data" / "real" / "github_events.jsonl"
SPECIFICATION = f"""\
payload = "github_events"
source = "{EVENTS}"
logical_size = "200 KB"
object_size = {{ kind = "natural" }}
grade = "U50"
distance = "shuffled"
"""
KINDS = {"jsonb": "jsonb", "text": "text", "external": "text"}


@dataclass
class Lab:
    """Three databases with the same events: as jsonb, as text, and as text left as it is."""

    endpoint: Endpoint
    events: Path
    objects: list[str]
    folders: dict[str, Path]

    def url(self, name: str) -> str:
        endpoint = self.endpoint
        address = f"{endpoint.user}@{endpoint.host}:{endpoint.port}/lab_{name}"
        return f"postgresql://{address}?secret=env:LAB_SCAN_SECRET"

    def connect(self, database: str) -> psycopg.Connection[Any]:
        assert self.endpoint.secret is not None
        return psycopg.connect(
            host=self.endpoint.host,
            port=self.endpoint.port,
            user=self.endpoint.user,
            password=self.endpoint.secret.reveal(),
            dbname=database,
            autocommit=True,
        )

    def load(self) -> None:
        for name, kind in KINDS.items():
            with self.connect("postgres") as connection:
                connection.execute(f"CREATE DATABASE lab_{name}")
            with self.connect(f"lab_{name}") as connection:
                connection.execute(f"CREATE TABLE events (id bigint, type text, payload {kind})")
                if name == "external":
                    connection.execute("ALTER TABLE events ALTER payload SET STORAGE EXTERNAL")
                for number, event in enumerate(self.objects):
                    row = (number, json.loads(event)["type"], event)
                    connection.execute("INSERT INTO events VALUES (%s, %s, %s)", row)
                connection.execute("CHECKPOINT")
                ((oid,),) = connection.execute(
                    "SELECT oid FROM pg_database WHERE datname = current_database()"
                )
                assert self.endpoint.directory is not None
                self.folders[name] = self.endpoint.directory / "base" / str(oid)


@pytest.fixture(scope="module")
def lab(
    not_brought_up: Callable[[str, Exception], NoReturn], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    events = tmp_path_factory.mktemp("planted") / "events"
    specification = events.with_suffix(".toml")
    specification.write_text(SPECIFICATION)
    dataset = build_dataset(dataset_file.load(specification))
    export.write(dataset, events, lambda count: None)
    objects = [payload.decode() for part in dataset.batches(1 << 20) for payload in part.payloads]
    with (
        TemporaryDirectory(prefix="deduplab-scan-") as workspace,
        pytest.MonkeyPatch.context() as m,
    ):
        Path(workspace).chmod(0o755)
        server = PostgresqlServer(Path(workspace), variant="default", durability="interval")
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            not_brought_up("postgresql", error)
        try:
            assert endpoint.secret is not None
            m.setenv("LAB_SCAN_SECRET", endpoint.secret.reveal())
            lab = Lab(endpoint, events, objects, {})
            lab.load()
            yield lab
        finally:
            server.stop()


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Scan]:
    with scanning(monkeypatch, capfd) as call:
        yield call


def column(document: dict[str, Any], name: str, grain: str) -> dict[str, Any]:
    grains = {one["grain"]: one for one in document["columns"][name]["grains"]}
    found: dict[str, Any] = grains[grain]
    return found


@pytest.mark.parametrize("name", list(KINDS))
def test_by_column_over_the_wire_each_payload_is_there_twice(
    name: str, lab: Lab, scan: Scan
) -> None:
    done = scan(lab.url(name), "--table", "events", "--json")
    assert done.code == 0, done.err
    assert done.grain("whole")["ratio"] == 1.0  # a row has a key of its own
    payload = column(done.document, "payload", "whole")
    assert payload["chunks"] == len(lab.objects)
    assert payload["unique_chunks"] == len(set(lab.objects))
    assert payload["ratio"] == pytest.approx(2.0, abs=0.05)
    assert column(done.document, "id", "whole")["ratio"] == 1.0
    assert column(done.document, "type", "whole")["ratio"] >= payload["ratio"] - 0.05
    if name != "jsonb":  # which comes with spaces, and its keys in another order
        assert payload["logical_bytes"] == sum(map(len, map(str.encode, lab.objects)))


def test_the_order_of_rows_changes_what_pages_compress_to(lab: Lab, scan: Scan) -> None:
    orders = ("--order", "natural", "--order", "sorted:payload")
    done = scan(lab.url("text"), "--table", "events", *orders, "--grain", "whole", "--json")
    assert done.code == 0, done.err
    packed = {
        order: {one["name"]: one["packed_ratio"] for one in columns}["payload"]
        for order, columns in done.document["orders"].items()
    }
    assert packed["sorted:payload"] > packed["natural"]


def test_on_the_disk_every_copy_lies_apart_and_no_chunk_finds_it(lab: Lab, scan: Scan) -> None:
    done = scan("--on-disk", lab.folders["external"], "--planted", lab.events, "--json")
    assert done.code == 0, done.err
    planted = done.document["on_disk"]["planted"]
    assert planted["payloads"] > 0.9 * len(set(lab.objects))
    assert planted["found"] > 0.9 * planted["planted"]
    # Every 1996 bytes a piece begins with the number of its value: no chunk is there twice.
    assert done.grain("cdc-4096")["ratio"] < 1.05
    assert done.grain("fixed-8192")["ratio"] < 1.05


def test_what_pglz_compressed_is_said_to_be_unseen(lab: Lab, scan: Scan) -> None:
    done = scan("--on-disk", lab.folders["text"], "--planted", lab.events, "--json")
    assert done.code == 0, done.err
    planted = done.document["on_disk"]["planted"]
    assert planted["found"] < 0.5 * planted["planted"]
    assert "compressed" in scan("--on-disk", lab.folders["text"], "--planted", lab.events).out
