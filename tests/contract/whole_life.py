"""The whole life of a namespace, every verb in every mode: what rights must suffice for."""

from __future__ import annotations

from typing import Any

import pytest

from deduplab.adapter import Adapter
from deduplab.adapters.s3 import RESTART, MinioAdapter
from deduplab.errors import ProbeError, Unsupported
from deduplab.record import Record
from deduplab.testing import SAMPLE_RECORDS, batch_of, distinct_objects, distinct_records
from deduplab.testing._fixtures import reclaim_where_offered

NAMESPACE = "deduplab-rights"


def live(adapter: Adapter, variant: str, durability: str, layout: str = "blob") -> None:
    """Create a namespace, do everything in it that a cell may do, and drop it."""
    offers = adapter.capabilities
    settings: dict[str, Any] = {"layout": layout, "variant": variant, "durability": durability}
    native = layout == "native"
    if native:
        settings["record_type"] = SAMPLE_RECORDS
    objects: dict[str, Any] = distinct_records(8) if native else distinct_objects(8)
    record_type = SAMPLE_RECORDS if native else None
    keys = list(objects)
    adapter.create(NAMESPACE, **settings)
    assert adapter.put_many(batch_of(_some(objects, keys[:6]), record_type)) == 6
    for key in keys[6:]:
        adapter.put(key, objects[key])
    for key in keys:
        found = adapter.get(key)
        assert found is not None
        assert (SAMPLE_RECORDS.canonical(found) if native else found) == (
            SAMPLE_RECORDS.serialise(objects[key]) if native else objects[key]
        )
    report(adapter)
    assert adapter.delete(keys[:3]) == 3
    assert adapter.count() == 5
    for mode in offers.reclaim_modes:
        if mode == RESTART:  # a server that others use as well is not restarted
            with pytest.raises(Unsupported, match="everybody"):
                adapter.reclaim(mode)
            continue
        reclaim_where_offered(adapter, mode)
        report(adapter)
    for mode in offers.delete_modes:
        if mode != "rowwise":
            adapter.empty(mode)
            assert adapter.count() == 0
            assert adapter.put_many(batch_of(_some(objects, keys[:2]), record_type)) == 2
    adapter.create(NAMESPACE, **settings)  # what is left of an earlier run is dropped
    assert adapter.count() == 0
    adapter.destroy()


def report(adapter: Adapter) -> None:
    """Ask everything that the bench asks between two stages."""
    adapter.flush()
    adapter.idle_signals()
    adapter.counters()
    assert adapter.identity().instance
    if isinstance(adapter, MinioAdapter):  # it has no size of a namespace
        with pytest.raises(ProbeError):
            adapter.engine_reading()
    else:
        assert adapter.engine_reading().total_bytes > 0


def _some(objects: dict[str, bytes | Record], keys: list[str]) -> dict[str, bytes | Record]:
    return {key: objects[key] for key in keys}
