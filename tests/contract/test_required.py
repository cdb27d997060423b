"""REQUIRE turns the skip of a system that can't be brought up into a failure; all are listed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import required

ROOT = Path(__file__).parents[2]

A_TEST = """
def test_it(not_brought_up):
    not_brought_up("mine", OSError("no such product here"))
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("", False), ("other", False), ("mine", True), ("other, mine", True), ("all", True)],
)
def test_is_required(setting: str, expected: bool) -> None:
    assert required.is_required("mine", setting) is expected


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["no worker", "a worker"])
@pytest.mark.parametrize(("setting", "code"), [("", 0), ("mine", 1)])
def test_the_summary_names_the_system_and_the_reason(
    tmp_path: Path, setting: str, code: int, workers: tuple[str, ...]
) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.required"]\n')
    (tmp_path / "test_it.py").write_text(A_TEST)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *workers, str(tmp_path)],
        env=os.environ | {"REQUIRE": setting, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == code, result.stdout
    _, _, summary = result.stdout.partition("systems that could not be brought up")
    assert "mine: no such product here" in summary
