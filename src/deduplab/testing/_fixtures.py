"""The fixtures that contract suites share: a system, its instance, an adapter in a namespace."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.record import Record, RecordType
from deduplab.server import Endpoint
from deduplab.testing.records import SAMPLE_RECORDS
from deduplab.testing.system import SystemUnderTest

_NUMBERS: Final = itertools.count(1)

Unavailable: TypeAlias = Callable[[str, Exception], NoReturn]
"""Told the name of a system that can't be brought up, and why; ends the test."""

NewWorkspace: TypeAlias = Callable[[], Path]
"""Makes an empty directory for one instance, which other accounts may enter."""


class SystemFixtures:
    """The system that is held to a contract, and where its instances live."""

    @pytest.fixture(scope="class")
    @classmethod
    def sut(cls) -> SystemUnderTest:
        """Return the system; a sub-class must override this."""
        raise NotImplementedError("give the contract a fixture 'sut'")

    @pytest.fixture(scope="session")
    @staticmethod
    def unavailable() -> Unavailable:
        """Return what is done with a system that can't be brought up: here, skip."""

        def skip(name: str, error: Exception) -> NoReturn:
            pytest.skip(f"{name}: {error}")

        return skip

    @pytest.fixture(scope="class")
    @classmethod
    def new_workspace(cls) -> Iterator[NewWorkspace]:
        """Return what makes workspaces.

        pytest's own directories are closed to other accounts, but some servers
        give up root and must enter theirs.
        """
        made: list[Path] = []

        def make() -> Path:
            path = Path(tempfile.mkdtemp(prefix="deduplab-contract-"))
            made.append(path)
            path.chmod(0o755)
            return path

        yield make
        for path in made:
            shutil.rmtree(path, ignore_errors=True)


class AdapterFixtures(SystemFixtures):
    """One instance of the system for a whole class; each test has a namespace of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def endpoint(
        cls, sut: SystemUnderTest, new_workspace: NewWorkspace, unavailable: Unavailable
    ) -> Iterator[Endpoint]:
        """Bring one instance up, see that it can be opened, and stop it at the end."""
        settings = sut.default_settings
        server = sut.server(new_workspace(), settings["variant"], settings["durability"])
        adapter = sut.adapter()
        try:
            try:
                endpoint = server.start()
                adapter.open(endpoint)
            except SystemUnavailable as error:
                unavailable(sut.name, error)
            finally:
                adapter.close()
            yield endpoint
        finally:
            server.stop()

    @pytest.fixture
    def namespace(self) -> str:
        """Return a name that no other test uses."""
        return f"contract-{next(_NUMBERS)}"

    @pytest.fixture
    def adapter(self, sut: SystemUnderTest, endpoint: Endpoint) -> Iterator[Adapter]:
        """Yield an open adapter that has entered no namespace."""
        adapter = sut.adapter()
        adapter.open(endpoint)
        yield adapter
        adapter.close()

    @pytest.fixture
    def entered(self, sut: SystemUnderTest, adapter: Adapter, namespace: str) -> Adapter:
        """Return an adapter in an empty namespace."""
        adapter.create(namespace, **sut.default_settings)
        return adapter

    @pytest.fixture
    def storing(self, entered: Adapter) -> Adapter:
        """Return an adapter in an empty namespace; its system keeps what it gets."""
        if not entered.capabilities.stores_data:
            pytest.skip("this system discards what it gets")
        return entered

    @pytest.fixture
    def native(self, sut: SystemUnderTest, adapter: Adapter, namespace: str) -> Adapter:
        """Return an adapter in an empty namespace of sample records."""
        if "native" not in sut.capabilities.layouts:
            pytest.skip("this system offers no native layout")
        if not sut.capabilities.stores_data:
            pytest.skip("this system discards what it gets")
        adapter.create(namespace, **sut.native_settings)
        return adapter


def reclaim_where_offered(adapter: Adapter, mode: str) -> None:
    """Run explicit maintenance; a variant may lack a mode of its system, and must say so then."""
    with suppress(Unsupported):
        adapter.reclaim(mode)


def assert_holds_records(
    adapter: Adapter, records: Mapping[str, Record], record_type: RecordType = SAMPLE_RECORDS
) -> None:
    """Assert that these records are there, whole by their canonical bytes, and no others."""
    assert adapter.count() == len(records)
    for key, record in records.items():
        found = adapter.get(key)
        assert found is not None, f"{key!r} is not found"
        if isinstance(found, tuple):
            names = (field.name for field in record_type.fields)
            for name, given, back in zip(names, record, found, strict=True):
                assert type(back) is type(given), f"{key!r}: {name} comes back as {back!r:.200}"
        assert record_type.canonical(found) == record_type.serialise(record), f"{key!r} changed"


def assert_holds(adapter: Adapter, objects: dict[str, bytes]) -> None:
    """Assert that these objects are there, whole, and no others."""
    assert adapter.count() == len(objects)
    for key, payload in objects.items():
        found = adapter.get(key)
        assert found is not None, f"{key!r} is not found"
        assert isinstance(found, bytes), f"{key!r} comes back as a record"
        assert found == payload, (
            f"{key!r} comes back changed ({len(found)} of {len(payload)} bytes)"
        )
