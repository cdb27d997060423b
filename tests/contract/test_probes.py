"""Every probe is held to the contract of probes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deduplab.adapters.sqlite import SqliteAdapter
from deduplab.probe import Probe
from deduplab.probes.engine import EngineProbe
from deduplab.probes.files import FilesProbe
from deduplab.server import Endpoint
from deduplab.testing import ProbeContract, batch_of, distinct_objects


class TestFilesProbe(ProbeContract):
    @pytest.fixture
    def probe(self, tmp_path: Path) -> Probe:
        (tmp_path / "some.log").write_bytes(b"x" * 5000)
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "some.data").write_bytes(b"x" * 50_000)
        return FilesProbe(tmp_path, (("*.log", "wal"),))

    @pytest.fixture
    def blind(self, tmp_path: Path) -> Probe:
        return FilesProbe(tmp_path / "gone")


class TestEngineProbe(ProbeContract):
    @pytest.fixture
    def adapter(self, tmp_path: Path) -> Iterator[SqliteAdapter]:
        adapter = SqliteAdapter()
        adapter.open(Endpoint(directory=tmp_path))
        adapter.create("probed", layout="blob", variant="default", durability="fsync")
        adapter.put_many(batch_of(distinct_objects(10)))
        yield adapter
        adapter.close()

    @pytest.fixture
    def probe(self, adapter: SqliteAdapter) -> Probe:
        return EngineProbe(adapter.engine_reading)

    @pytest.fixture
    def blind(self, adapter: SqliteAdapter) -> Probe:
        adapter.close()
        return EngineProbe(adapter.engine_reading)
