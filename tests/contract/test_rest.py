"""A server behind the REST contract is held to the contracts of adapters and servers."""

from __future__ import annotations

import pytest

from deduplab import registry
from deduplab.testing import AdapterContract, ServerContract, SystemUnderTest
from tests.contract.looks_rest import RestLook
from tests.required import Counted


class _Fixtures(Counted):
    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest.of(registry.system("rest"), RestLook())


class TestRestAdapter(_Fixtures, AdapterContract):
    pass


class TestRestServer(_Fixtures, ServerContract):
    pass
