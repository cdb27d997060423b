"""Every server of the registry is held to the contract of servers."""

from __future__ import annotations

import pytest

from deduplab import registry
from deduplab.testing import ServerContract, SystemUnderTest
from tests.contract.looks import LOOKS, OWN_SUITES
from tests.required import Counted


def one_system_a_server() -> list[str]:
    """The systems of one kind of server share its code, so one of them stands for all."""
    first: dict[str, str] = {}
    for name, entry in registry.systems().items():
        if name not in OWN_SUITES:
            first.setdefault(entry.server, name)
    return list(first.values())


class TestServers(Counted, ServerContract):
    @pytest.fixture(scope="class", params=one_system_a_server())
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return SystemUnderTest.of(registry.system(request.param), LOOKS[request.param])
