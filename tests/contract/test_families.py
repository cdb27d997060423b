"""Every payload family goes through every system in both layouts, and comes back as it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from deduplab import registry
from deduplab.adapter import Adapter
from deduplab.batch import Batch
from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets import PAYLOADS, build_dataset
from deduplab.record import Stored
from deduplab.testing import SystemUnderTest
from deduplab.testing._fixtures import AdapterFixtures
from deduplab.units import KIB
from tests.contract.looks import LOOKS
from tests.required import Counted
from tests.unit.real_data import fill_cache

STORING = [n for n, entry in registry.systems().items() if entry.capabilities().stores_data]


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    for name, entry in PAYLOADS.items():
        if entry.kind == "real" and entry.source != "needed":
            fill_cache(name, cache)
    return cache


def spec_of(payload: str) -> DatasetSpec:
    """A few dozen objects of about 1 KiB, half of them copies; whole small files for ``files``."""
    entry = PAYLOADS[payload]
    own = payload == "files"
    return DatasetSpec(
        payload,
        logical_bytes=64 * KIB,
        object_bytes=1200,
        grade_percent=50,
        distance="shuffled",
        source=str(Path(__file__).parent) if own else None,
        sizes=SizeSpec("natural") if entry.kind == "real" else SizeSpec("uniform", 500, 1900),
        vary=entry.kind == "real" and not own,
    )


class TestFamilies(Counted, AdapterFixtures):
    @pytest.fixture(scope="class", params=STORING)
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return SystemUnderTest.of(registry.system(request.param), LOOKS[request.param])

    @pytest.mark.parametrize("layout", ["blob", "native"])
    @pytest.mark.parametrize("payload", PAYLOADS)
    def test_it_comes_back_as_it_was(
        self,
        sut: SystemUnderTest,
        adapter: Adapter,
        namespace: str,
        layout: str,
        payload: str,
        real_cache: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("DEDUPLAB_CACHE", str(real_cache))
        dataset = build_dataset(spec_of(payload))
        assert dataset.record_type is not None
        settings = {**sut.default_settings, "layout": layout}
        adapter.create(namespace, **settings, record_type=dataset.record_type)
        (batch,) = dataset.batches(1 << 20)
        # The last objects go one by one, as the stage insert stores them.
        first = Batch(batch.keys[:-3], batch.data, batch.offsets[:-3], batch.record_type)
        assert adapter.put_many(first) == len(batch) - 3
        stored: Sequence[Stored] = batch.records if layout == "native" else batch.payloads
        for key, one in list(zip(batch.keys, stored, strict=True))[-3:]:
            adapter.put(key, one)
        adapter.flush()
        assert adapter.count() == dataset.objects
        for ordinal in range(dataset.objects):
            found = adapter.get(dataset.key(ordinal))
            assert found is not None
            assert dataset.record_type.canonical(found) == dataset.payload(ordinal)
        adapter.destroy()
