"""Contract suites for adapters, servers and probes, and an adapter that fails on purpose.

Shipped, so that a system added elsewhere is held to the same contract. Needs pytest.
"""

from deduplab.testing._namespace_contract import NamespaceContract
from deduplab.testing._report_contract import ReportContract
from deduplab.testing.adapter_contract import AdapterContract
from deduplab.testing.faulty import FAULTS, FaultyAdapter, faulty_class
from deduplab.testing.payloads import AWKWARD_PAYLOADS, batch_of, distinct_objects, random_payload
from deduplab.testing.probe_contract import ProbeContract
from deduplab.testing.server_contract import ServerContract
from deduplab.testing.system import RawLook, SystemUnderTest

__all__ = [
    "AWKWARD_PAYLOADS",
    "FAULTS",
    "AdapterContract",
    "FaultyAdapter",
    "NamespaceContract",
    "ProbeContract",
    "RawLook",
    "ReportContract",
    "ServerContract",
    "SystemUnderTest",
    "batch_of",
    "distinct_objects",
    "faulty_class",
    "random_payload",
]
