"""Every system of the registry is held to the contract of adapters."""

from __future__ import annotations

import pytest

from deduplab import registry
from deduplab.adapter import Adapter
from deduplab.errors import OperationFailed, ProbeError
from deduplab.testing import AdapterContract, NamespaceContract, ReportContract, SystemUnderTest
from tests.contract.looks import LOOKS, OWN_SUITES
from tests.required import Counted

STORING = [
    name
    for name, entry in registry.systems().items()
    if entry.capabilities().stores_data and name not in OWN_SUITES
]
DISCARDING = [n for n, entry in registry.systems().items() if not entry.capabilities().stores_data]


def under_test(name: str) -> SystemUnderTest:
    return SystemUnderTest.of(registry.system(name), LOOKS[name])


class TestAdapters(Counted, AdapterContract):
    @pytest.fixture(scope="class", params=STORING)
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return under_test(request.param)


class TestDiscardingAdapters(NamespaceContract, ReportContract):
    """A system that discards what it gets has no objects to look for."""

    @pytest.fixture(scope="class", params=DISCARDING)
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return under_test(request.param)

    def test_engine_reading_adds_up_and_grows(self, entered: Adapter) -> None:
        with pytest.raises(ProbeError):
            entered.engine_reading()

    def test_verbs_need_a_namespace(self, adapter: Adapter) -> None:
        with pytest.raises(OperationFailed):
            adapter.destroy()


def test_every_system_is_looked_at_behind_its_back() -> None:
    assert set(LOOKS) == set(registry.systems())
