"""The part of the adapters' contract that is about records in the layout native."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import DeduplabError, OperationFailed, Unsupported
from deduplab.record import Field, FieldType
from deduplab.server import Endpoint
from deduplab.testing._fixtures import (
    AdapterFixtures,
    NewWorkspace,
    assert_holds_records,
    reclaim_where_offered,
)
from deduplab.testing.payloads import batch_of
from deduplab.testing.records import AWKWARD_RECORDS, SAMPLE_RECORDS, distinct_records
from deduplab.testing.system import SystemUnderTest


class NativeContract(AdapterFixtures):
    """Records come back whole, as what the system gives for each field's type.

    An adapter may return records or their canonical bytes; both are compared by
    their canonical bytes.
    """

    def test_records_are_put_one_by_one(self, native: Adapter) -> None:
        """Every type of field keeps awkward values and NULL, before and after a flush."""
        for key, record in AWKWARD_RECORDS.items():
            native.put(key, record)
        assert_holds_records(native, AWKWARD_RECORDS)
        native.flush()
        assert_holds_records(native, AWKWARD_RECORDS)

    def test_records_are_put_in_bulk(self, native: Adapter) -> None:
        """The fast path keeps the same, before and after a flush."""
        batch = batch_of(AWKWARD_RECORDS, SAMPLE_RECORDS)
        assert native.put_many(batch) == len(AWKWARD_RECORDS)
        assert_holds_records(native, AWKWARD_RECORDS)
        native.flush()
        assert_holds_records(native, AWKWARD_RECORDS)

    def test_open_enters_the_same_layout_again(self, endpoint: Endpoint, native: Adapter) -> None:
        """After close and open, records are read and put as before."""
        records = distinct_records(10)
        native.put_many(batch_of(records, SAMPLE_RECORDS))
        before = native.identity()
        native.close()
        native.open(endpoint)
        assert native.identity() == before
        more = distinct_records(2, "s")
        for key, record in more.items():
            native.put(key, record)
        assert_holds_records(native, records | more)

    def test_identity_tells_layout_and_fields(
        self, sut: SystemUnderTest, native: Adapter, namespace: str
    ) -> None:
        """The two layouts can't be taken for each other, nor two record types."""
        here = native.identity().configuration
        assert here["layout"] == "native"
        assert all(field.name in here["record"] for field in SAMPLE_RECORDS.fields)
        native.create(namespace, **sut.default_settings)
        assert native.identity().configuration != here

    def test_copies_are_separate_objects(self, native: Adapter) -> None:
        """A system may share the bytes of copied records, never the objects."""
        record, other = distinct_records(2).values()
        copies = dict.fromkeys((f"copy-{number}" for number in range(10)), record)
        native.put("other", other)
        assert native.put_many(batch_of(copies, SAMPLE_RECORDS)) == 10
        native.put("one-more", record)
        assert_holds_records(native, {"other": other, "one-more": record} | copies)
        native.delete(["one-more", *list(copies)[:-1]])
        left = {"other": other, list(copies)[-1]: record}
        assert_holds_records(native, left)
        for mode in native.capabilities.reclaim_modes:
            reclaim_where_offered(native, mode)
        assert_holds_records(native, left)

    def test_every_delete_mode_keeps_the_layout(self, native: Adapter) -> None:
        """After each way of deleting all, the same records can be put again."""
        records = distinct_records(10)
        for mode in native.capabilities.delete_modes:
            assert native.put_many(batch_of(records, SAMPLE_RECORDS)) == 10
            if mode == "rowwise":
                assert native.delete(list(records)) == 10
            else:
                native.empty(mode)
            assert native.count() == 0
        native.put_many(batch_of(records, SAMPLE_RECORDS))
        assert_holds_records(native, records)

    def test_an_existing_key_is_refused_in_native(
        self, sut: SystemUnderTest, native: Adapter
    ) -> None:
        """A record is never replaced, and the connection still works."""
        if not sut.capabilities.unique_keys:
            pytest.skip("keys are not unique in this system")
        first, second = distinct_records(2).values()
        native.put("key", first)
        with pytest.raises(OperationFailed):
            native.put("key", second)
        native.put("after", second)
        assert_holds_records(native, {"key": first, "after": second})

    def test_native_needs_a_record_type(
        self, sut: SystemUnderTest, adapter: Adapter, namespace: str
    ) -> None:
        """Without fields, and with a field that can't be a column, nothing is made."""
        if "native" not in sut.capabilities.layouts:
            pytest.skip("this system offers no native layout")
        bad = replace(SAMPLE_RECORDS, fields=(Field("key", FieldType.TEXT),))
        for record_type in (None, bad):
            with pytest.raises(Unsupported):
                adapter.create(namespace, **sut.native_settings | {"record_type": record_type})
        with pytest.raises(DeduplabError):
            adapter.count()

    def test_every_variant_stores_records(
        self, sut: SystemUnderTest, native: Adapter, new_workspace: NewWorkspace
    ) -> None:
        """No variant changes a record, put alone or in bulk."""
        native.destroy()
        native.close()
        for variant in sut.capabilities.variant_names()[1:]:
            settings = sut.native_settings | {"variant": variant}
            server = sut.server(new_workspace(), variant, settings["durability"])
            adapter = sut.adapter()
            try:
                adapter.open(server.start())
                adapter.create("variant-of-it", **settings)
                adapter.put_many(batch_of(AWKWARD_RECORDS, SAMPLE_RECORDS))
                again = {f"again-{key}": record for key, record in AWKWARD_RECORDS.items()}
                for key, record in again.items():
                    adapter.put(key, record)
                adapter.flush()
                for mode in adapter.capabilities.reclaim_modes:
                    reclaim_where_offered(adapter, mode)
                assert_holds_records(adapter, AWKWARD_RECORDS | again)
                adapter.destroy()
            finally:
                adapter.close()
                server.stop()
