"""The part of the adapters' contract that is about what a system says of itself."""

from __future__ import annotations

import pickle
import time
from typing import Final

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import DeduplabError, ProbeError, SystemUnavailable
from deduplab.model import Layer, Ruler
from deduplab.server import Endpoint
from deduplab.testing._fixtures import AdapterFixtures, NewWorkspace, reclaim_where_offered
from deduplab.testing.payloads import batch_of, distinct_objects
from deduplab.testing.system import SystemUnderTest

IDLE_DEADLINE_S: Final = 60.0


class ReportContract(AdapterFixtures):
    """Sizes add up, rest is reached, an instance can be told from another; close always works."""

    def test_engine_reading_adds_up_and_grows(self, entered: Adapter) -> None:
        """The system's own size is the sum of its components, and grows with data."""
        entered.flush()
        try:
            before = entered.engine_reading()
        except ProbeError as error:
            pytest.skip(f"the system does not tell its size: {error}")
        entered.put_many(batch_of(distinct_objects(128)))
        entered.flush()
        after = entered.engine_reading()
        for reading in (before, after):
            assert reading.layer is Layer.ENGINE
            assert reading.ruler is Ruler.REPORTED
            assert reading.source
            assert all(value >= 0 for value in reading.components.values())
            if reading.components:
                assert sum(reading.components.values()) == reading.total_bytes
        assert after.total_bytes >= before.total_bytes + 128 * 8192 // 2

    def test_idle_signals_reach_zero(self, entered: Adapter) -> None:
        """The system comes to rest, by a deadline."""
        entered.put_many(batch_of(distinct_objects(64)))
        entered.flush()
        deadline = time.monotonic() + IDLE_DEADLINE_S
        while any((signals := entered.idle_signals()).values()):
            assert time.monotonic() < deadline, f"still busy: {dict(signals)}"
            time.sleep(0.02)
        assert all(value == 0 for value in signals.values())

    def test_counters_are_counts(self, entered: Adapter) -> None:
        """Counters are named whole numbers."""
        for name, value in entered.counters().items():
            assert name
            assert isinstance(value, int)

    def test_another_process_can_ask_for_the_counters(
        self, sut: SystemUnderTest, entered: Adapter, endpoint: Endpoint
    ) -> None:
        """What was entered can be sent, and watched over a connection that changes nothing."""
        told = entered.entered()
        if told is None:
            embedded = endpoint.port is None
            assert embedded or not entered.counters(), "a server can be asked for its counters"
            return
        entered.put_many(batch_of(distinct_objects(4)))
        count, identity = entered.count(), entered.identity()
        watching = sut.adapter()
        watching.open(endpoint)
        try:
            watching.watch(pickle.loads(pickle.dumps(told)))  # noqa: S301
            assert watching.counters().keys() == entered.counters().keys()
        finally:
            watching.close()
        assert entered.count() == count
        assert entered.identity() == identity

    def test_identity_is_stable(self, entered: Adapter) -> None:
        """No operation makes an instance look like another one."""
        before = entered.identity()
        assert before.product
        assert before.version
        assert before.instance
        entered.put_many(batch_of(distinct_objects(4)))
        entered.flush()
        for mode in entered.capabilities.delete_modes:
            if mode != "rowwise":
                entered.empty(mode)
        for mode in entered.capabilities.reclaim_modes:
            reclaim_where_offered(entered, mode)
        assert entered.identity() == before

    def test_another_instance_has_another_identity(
        self, sut: SystemUnderTest, entered: Adapter, new_workspace: NewWorkspace
    ) -> None:
        """Two instances of one product can be told apart."""
        here = entered.identity()
        entered.destroy()
        entered.close()
        settings = sut.default_settings
        server = sut.server(new_workspace(), settings["variant"], settings["durability"])
        another = sut.adapter()
        try:
            another.open(server.start())
            another.create("another-one", **settings)
            there = another.identity()
            another.destroy()
        finally:
            another.close()
            server.stop()
        assert there.instance != here.instance
        assert (there.product, there.version) == (here.product, here.version)

    def test_close_is_safe_at_any_time(self, sut: SystemUnderTest, entered: Adapter) -> None:
        """Close works twice, before open, and after an open that failed."""
        entered.close()
        entered.close()
        sut.adapter().close()
        unreachable = sut.adapter()
        with pytest.raises(SystemUnavailable):
            unreachable.open(Endpoint())
        unreachable.close()

    def test_verbs_need_a_namespace(self, adapter: Adapter) -> None:
        """No verb works outside a namespace that was created."""
        if not adapter.capabilities.stores_data:
            pytest.skip("this system discards what it gets")
        for verb in (
            lambda: adapter.put("key", b"payload"),
            lambda: adapter.put_many(batch_of({"key": b"payload"})),
            lambda: adapter.get("key"),
            lambda: adapter.count(),
            lambda: adapter.destroy(),
        ):
            with pytest.raises(DeduplabError):
                verb()
