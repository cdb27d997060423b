"""A server behind the REST contract is held to the contracts of adapters and servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from deduplab import registry
from deduplab.testing import AdapterContract, ServerContract, SystemUnderTest
from tests.contract.looks_rest import RestLook


class _Fixtures:
    @pytest.fixture(scope="session")
    @staticmethod
    def unavailable(
        not_brought_up: Callable[[str, Exception], NoReturn],
    ) -> Callable[[str, Exception], NoReturn]:
        return not_brought_up

    @pytest.fixture(scope="class")
    @staticmethod
    def sut() -> SystemUnderTest:
        return SystemUnderTest.of(registry.system("rest"), RestLook())


class TestRestAdapter(_Fixtures, AdapterContract):
    pass


class TestRestServer(_Fixtures, ServerContract):
    pass
