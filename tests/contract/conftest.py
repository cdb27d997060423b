from __future__ import annotations

import resource

import pytest

# chdb keeps some descriptors of every session that was closed; a cell has a process of its own,
# but here hundreds of sessions share one.
_DESCRIPTORS = 8192


def pytest_configure(config: pytest.Config) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
