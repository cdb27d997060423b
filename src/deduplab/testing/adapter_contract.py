"""What every adapter must do, as tests that are run against the real system.

Sub-class :class:`AdapterContract` in a test module, give it the fixture
``sut``, and pytest runs all of it::

    class TestMySystem(AdapterContract):
        @pytest.fixture(scope="class")
        @classmethod
        def sut(cls) -> SystemUnderTest:
            return SystemUnderTest("mine", MyAdapter, MyServer, MyRawLook())
"""

from __future__ import annotations

from deduplab.testing._joining_contract import JoiningContract
from deduplab.testing._namespace_contract import NamespaceContract
from deduplab.testing._native_contract import NativeContract
from deduplab.testing._object_contract import ObjectContract
from deduplab.testing._report_contract import ReportContract
from deduplab.testing._space_contract import SpaceContract


class AdapterContract(
    NamespaceContract,
    ObjectContract,
    NativeContract,
    SpaceContract,
    ReportContract,
    JoiningContract,
):
    """The contract of :class:`deduplab.adapter.Adapter`.

    One instance of the system serves a whole class; each test has a namespace
    of its own. A test that does not fit a product can be overridden by name:
    say why in its docstring.
    """
