"""Kafka is held to the contracts, in its default variant and in those that are compacted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deduplab.adapter import Adapter
from deduplab.adapters._kafka_client import KafkaClient
from deduplab.errors import NamespaceRefused, Unsupported
from deduplab.server import Endpoint, Server
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
from tests.contract.shared_kafka import ENTRY, LOOK, SharedServer
from tests.required import Counted

pytestmark = pytest.mark.server


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


@pytest.fixture(scope="module", autouse=True)
def _shared() -> Iterator[None]:
    yield
    SharedServer.end()


def under_test(variant: str) -> SystemUnderTest:
    """Return Kafka in a variant; only the default one has instances of its own."""
    real = SystemUnderTest.of(ENTRY, LOOK)

    def server(workspace: Path, of_variant: str, durability: str) -> Server:
        if of_variant == "delete-policy":
            return real.server(workspace, of_variant, durability)
        return SharedServer(workspace, variant=of_variant, durability=durability)

    return OfVariant(real.name, real.adapter, server, real.raw, variant)


class TestKafkaServer(Counted, ServerContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest.of(ENTRY, LOOK)


class TestDeletePolicy(Counted, AdapterContract):
    """The default: a log is cut off at its beginning, and nowhere else."""

    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return under_test("delete-policy")

    def test_duplicates_are_separate_objects(self, storing: Adapter) -> None:
        payload = b"the same" * 1000
        copies = dict.fromkeys((f"copy-{number}" for number in range(10)), payload)
        assert storing.put_many(batch_of(copies)) == 10
        storing.reclaim("clean")
        assert_holds(storing, copies)
        with pytest.raises(Unsupported, match="oldest"):
            storing.delete(list(copies)[1:])
        assert storing.delete(list(copies)[:-1]) == 9
        assert_holds(storing, {"copy-9": payload})

    def test_copies_are_separate_objects(self, native: Adapter) -> None:
        record, other = distinct_records(2).values()
        copies = dict.fromkeys((f"copy-{number}" for number in range(10)), record)
        assert native.put_many(batch_of(copies, SAMPLE_RECORDS)) == 10
        native.put("other", other)
        assert_holds_records(native, copies | {"other": other})
        assert native.delete(list(copies)[:-1]) == 9
        native.reclaim("clean")
        assert_holds_records(native, {"copy-9": record, "other": other})

    def test_reclaim_loses_nothing(self, storing: Adapter) -> None:
        objects = distinct_objects(40)
        storing.put_many(batch_of(objects))
        keys = list(objects)
        storing.reclaim("clean")
        assert_holds(storing, objects)
        assert storing.delete(keys[:20]) == 20
        storing.reclaim("clean")
        assert_holds(storing, {key: objects[key] for key in keys[20:]})
        assert storing.delete(keys[20:]) == 20
        storing.reclaim("clean")
        assert storing.count() == 0
        assert storing.engine_reading().components["data"] == 0
        assert storing.put_many(batch_of(objects)) == 40
        assert_holds(storing, objects)

    def test_a_marker_that_is_gone_when_it_is_read_is_none(
        self,
        sut: SystemUnderTest,
        endpoint: Endpoint,
        entered: Adapter,
        namespace: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Brokers list a topic for a moment longer than it is there."""
        before = KafkaClient.topics
        sut.raw.remove_marker(endpoint, namespace)
        asked = iter([{f"deduplab.{namespace}.marker": True}])
        monkeypatch.setattr(KafkaClient, "topics", lambda self: next(asked, None) or before(self))
        with pytest.raises(NamespaceRefused):
            entered.destroy()
        entered.close()


class TestCompacted(Counted, AdapterContract):
    @pytest.fixture(scope="class", params=["compact-by-key", "compact-by-hash"])
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return under_test(request.param)

    # The class before this one has made sure of every variant, and of instances.
    test_every_variant_stores_and_returns = None  # type: ignore[assignment]
    test_every_variant_stores_records = None  # type: ignore[assignment]
    test_another_instance_has_another_identity = None  # type: ignore[assignment]

    def test_an_existing_key_is_refused(self, sut: SystemUnderTest, storing: Adapter) -> None:
        """The last message of a key is the object; a cleaner keeps no other."""
        storing.put("key", b"the first payload")
        storing.put("key", b"another payload")
        assert_holds(storing, {"key": b"another payload"})
        storing.reclaim("clean")
        assert_holds(storing, {"key": b"another payload"})
