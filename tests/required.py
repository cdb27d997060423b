"""The one place where a system that can't be brought up is skipped, or fails the run.

REQUIRE="a,b" names systems that must come up, REQUIRE=all means every system.
What did not come up is listed at the end of the session, whichever worker met it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

_NOT_UP: pytest.StashKey[dict[str, str]] = pytest.StashKey()
_SENT = "systems_not_up"


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


class Counted:
    """Mixed into a contract: a system that can't be brought up is counted, and may be required."""

    @pytest.fixture(scope="session")
    @staticmethod
    def unavailable(
        not_brought_up: Callable[[str, Exception], NoReturn],
    ) -> Callable[[str, Exception], NoReturn]:
        return not_brought_up


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the session that started it."""
    sent: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if sent is not None:
        sent[_SENT] = session.config.stash.get(_NOT_UP, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker told; one that crashed told nothing, and has failed a test."""
    told = getattr(node, "workeroutput", None) or {}
    node.config.stash.setdefault(_NOT_UP, {}).update(told.get(_SENT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    not_up = terminalreporter.config.stash.get(_NOT_UP, {})
    if not_up:
        terminalreporter.section("systems that could not be brought up")
        for name, reason in sorted(not_up.items()):
            terminalreporter.write_line(f"{name}: {reason}")
