"""The part of the adapters' contract that is about namespaces joined by other processes."""

from __future__ import annotations

import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Final

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import (
    DeduplabError,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.record import RecordType
from deduplab.server import Endpoint
from deduplab.testing._fixtures import (
    AdapterFixtures,
    Unavailable,
    assert_holds,
    assert_holds_records,
)
from deduplab.testing.payloads import AWKWARD_PAYLOADS, batch_of, distinct_objects
from deduplab.testing.records import SAMPLE_RECORDS, distinct_records
from deduplab.testing.system import SystemUnderTest

_ANSWER_S: Final = 60.0


class JoiningContract(AdapterFixtures):
    """Who joins puts, gets and deletes as who created it, and does nothing else to it."""

    def test_what_either_puts_is_there_for_the_other(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter, namespace: str
    ) -> None:
        """Puts, gets and deletions of two adapters meet in one namespace, and behind the back."""
        objects, theirs = distinct_objects(20), distinct_objects(10, "theirs")
        storing.put_many(batch_of(objects))
        with joined(sut, storing, endpoint) as other:
            assert all(other.get(key) == payload for key, payload in objects.items())
            for key, payload in (theirs | AWKWARD_PAYLOADS).items():
                other.put(key, payload)
            storing.look_again()
            assert_holds(storing, objects | theirs | AWKWARD_PAYLOADS)
            storing.put("one-more", b"put by who created it")
            other.look_again()
            assert other.get("one-more") == b"put by who created it"
        storing.look_again()
        storing.put_many(batch_of({"in-a-batch": b"after the other has gone"}))
        storing.flush()
        storing.close()
        assert sut.raw.count(endpoint, namespace) == 32 + len(AWKWARD_PAYLOADS)
        for key, payload in theirs.items():
            assert sut.raw.fetch(endpoint, namespace, key) == payload

    def test_two_put_and_delete_at_the_same_time(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter
    ) -> None:
        """Neither is disturbed by what the other does meanwhile; each deletes in many requests."""
        payloads = list(distinct_objects(40).values())
        with joined(sut, storing, endpoint) as one, joined(sut, storing, endpoint) as another:

            def share(prefix: str, adapter: Adapter) -> dict[str, bytes]:
                mine = {f"{prefix}-{number}": each for number, each in enumerate(payloads)}
                for key, payload in mine.items():
                    adapter.put(key, payload)
                keys = list(mine)
                try:
                    for start in range(0, 20, 5):
                        assert adapter.delete(keys[start : start + 5]) == 5
                except Unsupported:  # a log has no such deletion
                    return mine
                return {key: mine[key] for key in keys[20:]}

            with ThreadPoolExecutor(2) as pool:
                first, second = pool.map(share, ("one", "another"), (one, another))
        storing.look_again()
        assert_holds(storing, first | second)

    def test_who_joined_can_connect_anew(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter
    ) -> None:
        """After close and open, as where the instance was restarted, it is where it was."""
        with joined(sut, storing, endpoint) as other:
            other.put("before", b"it was closed")
            other.close()
            other.open(endpoint)
            assert other.get("before") == b"it was closed"
            other.put("after", b"it was opened")
            with pytest.raises(NamespaceRefused):
                other.destroy()
        storing.look_again()
        assert_holds(storing, {"before": b"it was closed", "after": b"it was opened"})

    def test_a_key_is_unique_over_all_of_them(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter
    ) -> None:
        """An object of one is not replaced by another."""
        if not sut.capabilities.unique_keys:
            pytest.skip("this system keeps both of two objects with one key, by design")
        with joined(sut, storing, endpoint) as other:
            storing.put("first", b"of who created it")
            other.put("second", b"of who joined")
            storing.look_again()
            other.look_again()
            with pytest.raises(OperationFailed):
                other.put("first", b"another payload")
            with pytest.raises(OperationFailed):
                storing.put("second", b"another payload")
        storing.look_again()
        assert_holds(storing, {"first": b"of who created it", "second": b"of who joined"})

    def test_records_are_the_same_for_both(
        self, sut: SystemUnderTest, endpoint: Endpoint, native: Adapter
    ) -> None:
        """The layout native is joined with the record type."""
        records = distinct_records(10)
        with joined(sut, native, endpoint, SAMPLE_RECORDS) as other:
            for key, record in records.items():
                other.put(key, record)
            native.look_again()
            assert_holds_records(native, records)
            for key, record in records.items():
                found = other.get(key)
                assert found is not None
                assert SAMPLE_RECORDS.canonical(found) == SAMPLE_RECORDS.serialise(record)

    def test_every_variant_at_every_durability_can_be_joined(
        self, sut: SystemUnderTest, new_workspace: Callable[[], Any], unavailable: Unavailable
    ) -> None:
        """What is declared for the one holds for the other; what can't be shared is refused."""
        offers = sut.capabilities
        default, *durabilities = offers.durability
        points = [(variant, default) for variant in offers.variant_names()]
        points += [(points[0][0], durability) for durability in durabilities]
        for variant, durability in points:
            settings = {**sut.default_settings, "variant": variant, "durability": durability}
            server = sut.server(new_workspace(), variant, durability)
            adapter = sut.adapter()
            try:
                try:
                    endpoint = server.start()
                    adapter.open(endpoint)
                except SystemUnavailable as error:
                    unavailable(sut.name, error)
                adapter.create("joined-by-another", **settings)
                self._two_share(sut, adapter, endpoint)
                adapter.destroy()
            finally:
                adapter.close()
                server.stop()

    def _two_share(self, sut: SystemUnderTest, adapter: Adapter, endpoint: Endpoint) -> None:
        mine = distinct_objects(10, "mine")
        theirs = distinct_objects(10, "theirs")
        # Copies of each other's, too, which a system may keep once.
        copies = {f"copy-of-{key}": payload for key, payload in mine.items()}
        with joined(sut, adapter, endpoint) as other:
            for key, payload in mine.items():
                adapter.put(key, payload)
            for key, payload in (theirs | copies).items():
                other.put(key, payload)
            before = adapter.identity()
            adapter.look_again()
            other.look_again()
            assert_holds(adapter, mine | theirs | copies)
            assert adapter.identity() == before
            mine_left = {}
            try:
                assert other.delete(list(mine)) == len(mine)
            except Unsupported:  # a log has no such deletion
                mine_left = mine
            adapter.look_again()
            assert_holds(adapter, mine_left | theirs | copies)
        adapter.flush()
        assert_holds(adapter, mine_left | theirs | copies)

    def test_who_joined_neither_creates_nor_destroys(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter
    ) -> None:
        """Whatever would make, empty or drop a namespace is refused to who joined one."""
        storing.put("kept", b"payload")
        with joined(sut, storing, endpoint) as other:
            with pytest.raises(NamespaceRefused):
                other.create("another-one", **sut.default_settings)
            with pytest.raises(NamespaceRefused):
                other.destroy()
            for mode in set(sut.capabilities.delete_modes) - {"rowwise"}:
                with pytest.raises(NamespaceRefused):
                    other.empty(mode)
        assert_holds(storing, {"kept": b"payload"})

    def test_what_is_gone_can_not_be_joined(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter
    ) -> None:
        """A namespace that was destroyed meanwhile is refused."""
        joining = _joining(storing)
        storing.destroy()
        other = sut.adapter()
        other.open(endpoint)
        try:
            with pytest.raises(NamespaceRefused):
                other.join(joining)
        finally:
            other.close()

    def test_another_process_joins(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter
    ) -> None:
        """All of it from a process of its own, which shares nothing but the system."""
        joining = _joining(storing)
        objects = distinct_objects(8)
        told, tells = get_context("spawn").Pipe(duplex=False)
        process = get_context("spawn").Process(
            target=_put_all, args=(type(storing), endpoint, joining, objects, tells)
        )
        if "<locals>" in type(storing).__qualname__:
            pytest.skip("this adapter's class can't be sent to another process")
        process.start()
        tells.close()
        try:
            assert told.poll(_ANSWER_S), "the other process did not answer"
            assert told.recv() == ""
        finally:
            process.join(_ANSWER_S)
            told.close()
            process.close()
        storing.look_again()
        assert_holds(storing, objects)


@contextmanager
def joined(
    sut: SystemUnderTest,
    adapter: Adapter,
    endpoint: Endpoint,
    record_type: RecordType | None = None,
) -> Iterator[Adapter]:
    """Yield a second adapter in the namespace of the first; skip where there is none."""
    joining = _joining(adapter)
    other = sut.adapter()
    other.open(endpoint)
    try:
        other.join(joining, record_type)
        yield other
    finally:
        other.close()


def _joining(adapter: Adapter) -> object:
    found = adapter.joining()
    if found is None:
        pytest.skip("no second process can put into this system")
    return pickle.loads(pickle.dumps(found))  # noqa: S301


def _put_all(
    adapter_class: type[Adapter],
    endpoint: Endpoint,
    joining: object,
    objects: dict[str, bytes],
    tells: Any,
) -> None:
    """Put objects from a process of its own, and tell why that failed, or nothing."""
    signal.alarm(int(_ANSWER_S))
    adapter = adapter_class()
    try:
        adapter.open(endpoint)
        adapter.join(joining)
        for key, payload in objects.items():
            adapter.put(key, payload)
        tells.send("")
    except DeduplabError:
        tells.send(traceback.format_exc())
    finally:
        adapter.close()
    sys.exit()
