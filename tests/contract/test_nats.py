"""NATS is held to the contracts, in its default variant and in those that refuse copies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from deduplab.adapter import Adapter
from deduplab.adapters._nats_objects import HashedObjects
from deduplab.adapters.nats import NatsAdapter
from deduplab.errors import (
    LoginRefused,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.registry import system
from deduplab.server import Endpoint, Secret
from deduplab.servers.nats import NatsServer
from deduplab.testing import (
    SAMPLE_RECORDS,
    AdapterContract,
    ServerContract,
    SystemUnderTest,
    batch_of,
    distinct_objects,
    distinct_records,
)
from deduplab.testing._fixtures import assert_holds, assert_holds_records
from tests.contract.looks_nats import NatsLook, asked
from tests.required import Counted

pytestmark = pytest.mark.server

LOOK = NatsLook()


@dataclass(frozen=True, slots=True)
class OfVariant(SystemUnderTest):
    """A system whose tests run in another variant than the first."""

    variant: str = ""

    @property
    def default_settings(self) -> dict[str, Any]:
        offers = self.capabilities
        return {
            "layout": offers.layouts[0],
            "variant": self.variant,
            "durability": offers.durability[0],
        }


def under_test(variant: str) -> SystemUnderTest:
    real = SystemUnderTest.of(system("nats"), LOOK)
    return OfVariant(real.name, real.adapter, real.server, real.raw, variant)


class TestNatsServer(Counted, ServerContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest.of(system("nats"), LOOK)


class TestDefault(Counted, AdapterContract):
    """A message an object: nothing is refused but a key that is there."""

    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return under_test("default")

    def test_there_is_no_maintenance_to_ask_for(self, storing: Adapter) -> None:
        with pytest.raises(Unsupported, match=r"nats has no maintenance .* unique-content"):
            storing.reclaim("sweep")


class TestUniqueContent(Counted, AdapterContract):
    @pytest.fixture(scope="class", params=["unique-content", "unique-content-by-subject"])
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return under_test(request.param)

    # The class before this one has made sure of every variant, and of instances.
    test_every_variant_stores_and_returns = None  # type: ignore[assignment]
    test_every_variant_stores_records = None  # type: ignore[assignment]
    test_every_variant_at_every_durability_can_be_joined = None  # type: ignore[assignment]
    test_another_instance_has_another_identity = None  # type: ignore[assignment]

    def test_a_copy_is_refused_and_its_object_is_there(
        self, endpoint: Endpoint, storing: Adapter, namespace: str
    ) -> None:
        """Whichever way it came: in one batch, in another, alone."""
        payloads = list(distinct_objects(5).values())
        objects = {f"{n}-{at}": payload for n in range(4) for at, payload in enumerate(payloads)}
        assert storing.put_many(batch_of(objects)) == 20
        again = {f"again-{key}": payload for key, payload in objects.items()}
        assert storing.put_many(batch_of(again)) == 20
        storing.put("alone", payloads[0])
        assert LOOK.messages(endpoint, namespace) == {"payloads": 5, "references": 41}
        components = storing.engine_reading().components
        assert 5 * 8192 < components["data"] < 5 * 8500
        assert components["references"] < 41 * 150
        assert_holds(storing, objects | again | {"alone": payloads[0]})

    def test_payloads_go_in_a_sweep_and_their_copies_are_taken_again(
        self, endpoint: Endpoint, storing: Adapter, namespace: str
    ) -> None:
        """Deleted objects leave their payloads, which a refill uses again; a sweep drops them."""
        objects = distinct_objects(6)
        storing.put_many(batch_of(objects))
        gone = list(objects)[1:]
        assert storing.delete(gone) == 5
        assert LOOK.messages(endpoint, namespace) == {"payloads": 6, "references": 1}
        storing.put_many(batch_of({"refilled": objects[gone[0]]}))
        storing.reclaim("sweep")
        assert LOOK.messages(endpoint, namespace) == {"payloads": 2, "references": 2}
        again = {key: objects[key] for key in gone}
        assert storing.put_many(batch_of(again)) == 5
        assert_holds(storing, objects | {"refilled": objects[gone[0]]})
        assert LOOK.messages(endpoint, namespace)["references"] == 7

    def test_an_object_whose_payload_is_gone_is_not_counted(
        self, endpoint: Endpoint, storing: Adapter, namespace: str
    ) -> None:
        objects = distinct_objects(3)
        storing.put_many(batch_of(objects))

        async def work(_: Any, context: Any) -> None:
            await context.delete_msg(f"deduplab-{namespace}-payloads", 2)

        asked(endpoint, work)
        assert storing.count() == 2
        assert [storing.get(key) is None for key in objects] == [False, True, False]


@contextmanager
def instance(
    workspace: Path, variant: str = "default", durability: str = "fsync"
) -> Iterator[tuple[NatsServer, Endpoint, NatsAdapter]]:
    server = NatsServer(workspace, variant=variant, durability=durability)
    adapter = NatsAdapter()
    try:
        endpoint = server.start()
        adapter.open(endpoint)
        adapter.create("trial", layout="blob", variant=variant, durability=durability)
        yield server, endpoint, adapter
    finally:
        adapter.close()
        server.stop()


@pytest.mark.parametrize("variant", ["default", "unique-content"])
@pytest.mark.parametrize("durability", ["fsync", "interval"])
def test_what_was_acknowledged_is_there_after_the_server_was_killed(
    tmp_path: Path, variant: str, durability: str
) -> None:
    with instance(tmp_path, variant, durability) as (server, _, adapter):
        objects = distinct_objects(50)
        adapter.put_many(batch_of(objects))
        adapter.put("one", b"more")
        process = psutil.Process(server.processes()[0])
        process.kill()
        process.wait(timeout=10)
        with pytest.raises(SystemUnavailable):
            adapter.put("two", b"never")
        server.stop()
        adapter.open(server.start())
        assert_holds(adapter, objects | {"one": b"more"})
        # Ids are known again, from the messages.
        adapter.put_many(batch_of({f"copy-{key}": payload for key, payload in objects.items()}))
        assert adapter.count() == 101
        data = adapter.engine_reading().components["data"]
        assert (data < 52 * 8500) is (variant == "unique-content")


def test_a_window_that_is_too_short_lets_copies_in(tmp_path: Path) -> None:
    """Refused while the id is known, stored when it is forgotten, and readable both times."""
    with instance(tmp_path, "unique-content-short") as (_, endpoint, adapter):
        payload = b"the same" * 1000
        assert adapter.put_many(batch_of({"first": payload, "at-once": payload})) == 2
        assert LOOK.messages(endpoint, "trial") == {"payloads": 1, "references": 2}
        time.sleep(0.5)
        adapter.put("later", payload)
        assert LOOK.messages(endpoint, "trial") == {"payloads": 2, "references": 3}
        assert_holds(adapter, dict.fromkeys(("first", "at-once", "later"), payload))


@pytest.mark.parametrize("by", ["purge", "deletion"])
def test_the_product_refuses_copies_of_what_was_deleted(tmp_path: Path, by: str) -> None:
    """Why a sweep has ids forgotten: seen with the vendor's client alone."""
    with instance(tmp_path) as (_, endpoint, _adapter):

        async def work(_: Any, context: Any) -> tuple[bool, int]:
            await context.add_stream(name="theirs", subjects=["deduplab.theirs"])
            identified = {"Nats-Msg-Id": "one"}
            first = await context.publish("deduplab.theirs", b"content", headers=identified)
            if by == "purge":
                await context.purge_stream("theirs")
            else:
                await context.delete_msg("theirs", first.seq)
            second = await context.publish("deduplab.theirs", b"content", headers=identified)
            info = await context.stream_info("theirs")
            return bool(second.duplicate), int(info.state.messages)

        assert asked(endpoint, work) == (True, 0)


@pytest.mark.parametrize(
    ("variant", "stored_anew"), [("unique-content", 1), ("unique-content-by-subject", 0)]
)
def test_a_sweep_forgets_the_ids_of_what_stays_too(
    tmp_path: Path, variant: str, stored_anew: int
) -> None:
    """The next copy of a payload that stayed is stored once more, where ids refuse it."""
    kept, gone = distinct_objects(2).values()
    with instance(tmp_path, variant) as (_, endpoint, adapter):
        adapter.put_many(batch_of({"kept": kept, "gone": gone}))
        adapter.delete(["gone"])
        adapter.reclaim("sweep")
        for key in ("one", "another"):
            adapter.put(key, kept)
        assert LOOK.messages(endpoint, "trial")["payloads"] == 1 + stored_anew
        assert_holds(adapter, dict.fromkeys(("kept", "one", "another"), kept))


def test_a_copy_of_what_is_gone_is_an_error_where_its_id_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No object is lost in silence, should a server not forget what it was to forget."""

    def forget_nothing(self: HashedObjects) -> None:
        self._swept_up_to = 20

    monkeypatch.setattr(HashedObjects, "_forget_ids", forget_nothing)
    objects = distinct_objects(20)
    with instance(tmp_path, "unique-content") as (_, _endpoint, adapter):
        adapter.put_many(batch_of(objects))
        adapter.empty("truncate")
        with pytest.raises(OperationFailed, match="its id was still known, so the object is lost"):
            adapter.put_many(batch_of(objects))


@pytest.mark.parametrize("variant", ["default", "unique-content"])
def test_what_is_dropped_does_not_come_back(tmp_path: Path, variant: str) -> None:
    """The server gives a new stream the messages of one that was deleted right after another."""
    objects = distinct_objects(30)
    with instance(tmp_path, variant, "interval") as (_, _endpoint, adapter):
        for _ in range(60):
            adapter.put_many(batch_of(objects))
            adapter.empty("drop")
            assert adapter.count() == 0
        adapter.put_many(batch_of(objects))
        assert_holds(adapter, objects)


def test_a_batch_with_a_key_that_exists_is_an_error(tmp_path: Path) -> None:
    """The others of the batch are stored: there is no transaction."""
    with instance(tmp_path) as (_, _endpoint, adapter):
        adapter.put("k", b"first")
        with pytest.raises(OperationFailed, match="exists"):
            adapter.put_many(batch_of({"j": b"x", "k": b"y"}))
        assert_holds(adapter, {"k": b"first", "j": b"x"})


def test_an_object_that_is_too_large_is_refused_and_the_connection_works(tmp_path: Path) -> None:
    with instance(tmp_path) as (_, _endpoint, adapter):
        large = bytes(8 * 1024 * 1024)
        adapter.put("large", large)
        with pytest.raises(OperationFailed, match="max_payload"):
            adapter.put("larger", large + bytes(64 * 1024))
        with pytest.raises(OperationFailed, match="longer than a subject"):
            adapter.put("k" * 4000, b"x")
        assert_holds(adapter, {"large": large})


def test_keys_are_subjects_whatever_stands_in_them(tmp_path: Path) -> None:
    with instance(tmp_path) as (_, _endpoint, adapter):
        keys = ["a.b", "a b", "*", ">", "a.>", "%2E", ".", "~", "", "ключ", "tab\t", "new\nline"]
        objects = {key: f"of {key}".encode() for key in keys}
        assert adapter.put_many(batch_of(objects)) == len(keys)
        assert_holds(adapter, objects)
        assert adapter.delete(["*", ">"]) == 2
        assert adapter.count() == len(keys) - 2


def test_another_durability_than_the_servers_is_refused(tmp_path: Path) -> None:
    with instance(tmp_path, durability="interval") as (_, endpoint, adapter):
        with pytest.raises(Unsupported, match=r"sync_interval to be always.* syncs every 1 s"):
            adapter.create("other", layout="blob", variant="default", durability="fsync")
        adapter.close()
        assert not LOOK.exists(endpoint, "other")


def test_full_blocks_are_compressed_with_s2(tmp_path: Path) -> None:
    """The server counts bytes before compression; files show it, for blocks that are full."""
    text = {f"t{n}": b"all alike, all alike, %d " % n * 4000 for n in range(200)}
    found = {}
    for variant in ("default", "s2"):
        workspace = tmp_path / variant
        workspace.mkdir()
        with instance(workspace, variant) as (_, endpoint, adapter):
            adapter.put_many(batch_of(text))
            assert endpoint.directory is not None
            blocks = endpoint.directory.rglob("*.blk")
            found[variant] = sum(path.stat().st_size for path in blocks)
            assert adapter.engine_reading().total_bytes > sum(map(len, text.values()))
            assert_holds(adapter, text)
    assert found["s2"] < found["default"] * 0.7


def test_the_user_ends_at_its_account_and_its_subjects(tmp_path: Path) -> None:
    with instance(tmp_path) as (server, endpoint, _):
        assert endpoint.secret is not None
        process = psutil.Process(server.processes()[0])
        assert endpoint.secret.reveal() not in " ".join(process.cmdline())
        assert server.configuration.stat().st_mode & 0o777 == 0o600
        assert endpoint.secret.reveal() not in server.log.read_text()

        async def refused(client: Any, _: Any) -> list[str]:
            said: list[str] = []

            async def heard(error: Exception) -> None:
                said.append(str(error))

            client._error_cb = heard
            for subject in ("somebody.else", "$SYS.REQ.SERVER.PING.CONNZ", "$JS.API.META.RESCUE"):
                await client.publish(subject, b"x")
            await client.subscribe("somebody.else")
            await client.flush()
            return said

        assert len(asked(endpoint, refused)) == 4
        nobody = NatsAdapter()
        with pytest.raises(LoginRefused, match="check the user and the secret"):
            nobody.open(replace(endpoint, secret=Secret("not the password")))
        with pytest.raises(SystemUnavailable):
            nobody.open(replace(endpoint, user=None, secret=None))
        nobody.close()


def test_what_somebody_else_has_made_is_not_used(tmp_path: Path) -> None:
    """Of another variant's streams too, since create deletes all of that name."""
    with instance(tmp_path, "unique-content") as (_, endpoint, adapter):
        LOOK.make_foreign(endpoint, "other")
        with pytest.raises(NamespaceRefused, match="without our marker"):
            adapter.create("other", layout="blob", variant="unique-content", durability="fsync")
        assert LOOK.messages(endpoint, "other") == {"objects": 1}


def test_records_are_json_that_anybody_reads(tmp_path: Path) -> None:
    with instance(tmp_path) as (_, endpoint, adapter):
        settings: dict[str, Any] = {"variant": "unique-content", "durability": "fsync"}
        adapter.create("native", layout="native", record_type=SAMPLE_RECORDS, **settings)
        records = distinct_records(5)
        adapter.put_many(batch_of(records, SAMPLE_RECORDS))
        assert_holds_records(adapter, records)
        found = LOOK.fetch(endpoint, "native", next(iter(records)))
        assert found is not None
        assert found.startswith(b"{")
