"""Contract suites for adapters, servers and probes, and an adapter that fails on purpose.

Shipped, so that a system added elsewhere is held to the same contract. Needs pytest.
"""

from deduplab.testing._joining_contract import JoiningContract
from deduplab.testing._namespace_contract import NamespaceContract
from deduplab.testing._native_contract import NativeContract
from deduplab.testing._report_contract import ReportContract
from deduplab.testing.adapter_contract import AdapterContract
from deduplab.testing.faulty import FAULTS, FaultyAdapter, faulty_class
from deduplab.testing.payloads import AWKWARD_PAYLOADS, batch_of, distinct_objects, random_payload
from deduplab.testing.probe_contract import ProbeContract
from deduplab.testing.records import AWKWARD_RECORDS, SAMPLE_RECORDS, distinct_records
from deduplab.testing.server_contract import ServerContract
from deduplab.testing.system import RawLook, SystemUnderTest

__all__ = [
    "AWKWARD_PAYLOADS",
    "AWKWARD_RECORDS",
    "FAULTS",
    "SAMPLE_RECORDS",
    "AdapterContract",
    "FaultyAdapter",
    "JoiningContract",
    "NamespaceContract",
    "NativeContract",
    "ProbeContract",
    "RawLook",
    "ReportContract",
    "ServerContract",
    "SystemUnderTest",
    "batch_of",
    "distinct_objects",
    "distinct_records",
    "faulty_class",
    "random_payload",
]
