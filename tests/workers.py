"""How the suite is shared out among workers: file by file, or system by system where that is long.

What brings a server up for a file, a class or a system stays on one worker. The
order is that of collection, in which the many short files of the unit tests are
the last, so that no worker waits long for another at the end.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

BY_SYSTEM: Final = (
    "tests/contract/test_adapters.py",
    "tests/contract/test_export_s3.py",
    "tests/contract/test_families.py",
    "tests/contract/test_granted_rights.py",
    "tests/contract/test_redis.py",
    "tests/contract/test_s3.py",
    "tests/contract/test_s3_behaviour.py",
    "tests/contract/test_servers.py",
    "tests/contract/test_tls.py",
    "tests/end_to_end/test_remote.py",
)
"""Files whose servers are brought up for one system each: the first parameter."""

BY_TEST: Final = (
    "tests/end_to_end/test_export.py",
    "tests/end_to_end/test_lab.py",
    "tests/end_to_end/test_pipeline.py",
    "tests/faults/",
)
"""Files in which each test brings up what it needs."""

TOGETHER: Final = ("tests/kubernetes/",)
"""Folders whose files use one server, which takes long to come up: one worker has them all."""


def unit(nodeid: str) -> str:
    """Return the name of what stays together with a test."""
    path, _, test = nodeid.partition("::")
    for folder in TOGETHER:
        if path.startswith(folder):
            return folder
    if path.startswith(BY_TEST):
        return nodeid
    if path.startswith(BY_SYSTEM):
        name, _, parameters = test.partition("[")
        owner = name.rpartition("::")[0]
        return f"{path}::{owner}[{parameters.rstrip(']').split('-')[0]}]"
    return path


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Hands units to workers as they become free."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    config.option.loadscopereorder = False  # the order of collection
    return Sharing(config, log)
