"""The one place where a system that can't be brought up is skipped, or fails the run.

REQUIRE="a,b" names systems that must come up, REQUIRE=all means every system.
What did not come up is listed at the end of the session.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import NoReturn

import pytest

# chdb keeps some descriptors of every session that was closed; a cell has a process of its own,
# but here hundreds of sessions share one.
_DESCRIPTORS = 8192

_NOT_UP: pytest.StashKey[dict[str, str]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_required(name: str, setting: str) -> bool:
    """Whether the value of REQUIRE asks for this system."""
    required = {word.strip() for word in setting.split(",")}
    return name in required or "all" in required


@pytest.fixture(scope="session")
def not_brought_up(request: pytest.FixtureRequest) -> Callable[[str, Exception], NoReturn]:
    """What is done with a system that can't be brought up."""
    not_up = request.config.stash.setdefault(_NOT_UP, {})

    def record(name: str, error: Exception) -> NoReturn:
        not_up[name] = str(error)
        if is_required(name, os.environ.get("REQUIRE", "")):
            pytest.fail(f"{name} is required, but can't be brought up: {error}", pytrace=False)
        pytest.skip(f"{name} can't be brought up: {error}")

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    not_up = terminalreporter.config.stash.get(_NOT_UP, {})
    if not_up:
        terminalreporter.section("systems that could not be brought up")
        for name, reason in sorted(not_up.items()):
            terminalreporter.write_line(f"{name}: {reason}")
