"""The part of the adapters' contract that is about objects going in and coming out."""

from __future__ import annotations

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import OperationFailed
from deduplab.server import Endpoint
from deduplab.testing._fixtures import AdapterFixtures, assert_holds, reclaim_where_offered
from deduplab.testing.payloads import AWKWARD_PAYLOADS, batch_of, distinct_objects
from deduplab.testing.system import SystemUnderTest


class ObjectContract(AdapterFixtures):
    """What was acknowledged is there, whole, for the adapter and behind its back."""

    def test_put_and_get(self, storing: Adapter) -> None:
        """What is put one by one comes back as it was, before and after a flush."""
        for key, payload in AWKWARD_PAYLOADS.items():
            storing.put(key, payload)
        assert_holds(storing, AWKWARD_PAYLOADS)
        storing.flush()
        assert_holds(storing, AWKWARD_PAYLOADS)

    def test_put_many_and_get(self, storing: Adapter) -> None:
        """What is put in bulk comes back as it was, before and after a flush."""
        assert storing.put_many(batch_of(AWKWARD_PAYLOADS)) == len(AWKWARD_PAYLOADS)
        assert_holds(storing, AWKWARD_PAYLOADS)
        storing.flush()
        assert_holds(storing, AWKWARD_PAYLOADS)

    def test_what_was_acknowledged_is_seen_behind_the_back(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter, namespace: str
    ) -> None:
        """Acknowledged objects are there for anybody, without the adapter."""
        objects = distinct_objects(20)
        storing.put_many(batch_of(objects))
        storing.put("one-more", b"put alone")
        storing.flush()
        storing.close()
        assert sut.raw.count(endpoint, namespace) == 21
        assert sut.raw.fetch(endpoint, namespace, "one-more") == b"put alone"
        for key, payload in objects.items():
            assert sut.raw.fetch(endpoint, namespace, key) == payload

    def test_deletions_are_seen_behind_the_back(
        self, sut: SystemUnderTest, endpoint: Endpoint, storing: Adapter, namespace: str
    ) -> None:
        """A deleted object is gone for anybody, and no other is."""
        objects = distinct_objects(20)
        storing.put_many(batch_of(objects))
        gone, *left = objects
        assert storing.delete([gone]) == 1
        storing.flush()
        storing.close()
        assert sut.raw.count(endpoint, namespace) == len(left)
        assert sut.raw.fetch(endpoint, namespace, gone) is None

    def test_open_enters_the_namespace_again(self, endpoint: Endpoint, storing: Adapter) -> None:
        """After close and open the objects and the identity are the same."""
        objects = distinct_objects(20)
        storing.put_many(batch_of(objects))
        before = storing.identity()
        storing.close()
        storing.open(endpoint)
        try:
            count = storing.count()
        except OperationFailed as error:
            pytest.skip(f"this adapter enters a namespace by create() only: {error}")
        assert count == len(objects)
        assert storing.identity() == before
        assert_holds(storing, objects)

    def test_duplicates_are_separate_objects(self, storing: Adapter) -> None:
        """A system may share the bytes of copies, never the objects."""
        payload, other = distinct_objects(2, "d").values()
        storing.put("first", payload)
        storing.put("other", other)
        copies = dict.fromkeys((f"copy-{number}" for number in range(10)), payload)
        assert storing.put_many(batch_of(copies)) == 10
        expected = {"first": payload, "other": other} | copies
        assert_holds(storing, expected)
        storing.flush()
        for mode in storing.capabilities.reclaim_modes:
            reclaim_where_offered(storing, mode)
        assert_holds(storing, expected)
        storing.delete(["first", *list(copies)[:-1]])
        assert_holds(storing, {"other": other, list(copies)[-1]: payload})

    def test_an_empty_payload_is_stored_or_refused(self, storing: Adapter) -> None:
        """An empty payload is an object like any other, or an error."""
        try:
            storing.put("empty", b"")
        except OperationFailed:
            assert storing.count() == 0
        else:
            assert_holds(storing, {"empty": b""})

    def test_an_existing_key_is_refused(self, sut: SystemUnderTest, storing: Adapter) -> None:
        """An object is never replaced; where keys are not unique, it is kept beside the other."""
        storing.put("key", b"the first payload")
        if not sut.capabilities.unique_keys:
            storing.put("key", b"another payload")
            assert storing.count() == 2
            return
        with pytest.raises(OperationFailed):
            storing.put("key", b"another payload")
        assert_holds(storing, {"key": b"the first payload"})
        storing.put("after", b"the connection still works")
        assert storing.count() == 2

    def test_a_missing_key_is_none(self, storing: Adapter) -> None:
        """A key that was never put is not found, and not an error."""
        storing.put_many(batch_of(distinct_objects(5)))
        assert storing.get("missing") is None
        assert storing.get("") is None

    def test_the_batch_is_not_kept(self, storing: Adapter) -> None:
        """The bench uses the batch's buffer again as soon as put_many returns."""
        objects = distinct_objects(16)
        batch = batch_of(objects)
        assert storing.put_many(batch) == 16
        batch.data[:] = bytes(len(batch.data))
        batch.keys.clear()
        assert_holds(storing, objects)
        storing.flush()
        assert_holds(storing, objects)

    def test_a_batch_may_lie_anywhere_in_its_buffer(self, storing: Adapter) -> None:
        """The first offset of a batch need not be 0."""
        objects = distinct_objects(4)
        whole = batch_of({"before": b"x" * 100} | objects)
        part = type(whole)(whole.keys[1:], whole.data, whole.offsets[1:])
        assert storing.put_many(part) == 4
        assert_holds(storing, objects)
