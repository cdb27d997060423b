"""REQUIRE turns the skip of a system that can't be brought up into a failure; all are listed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract import conftest

A_TEST = """
def test_it(not_brought_up):
    not_brought_up("mine", OSError("no such product here"))
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("", False), ("other", False), ("mine", True), ("other, mine", True), ("all", True)],
)
def test_is_required(setting: str, expected: bool) -> None:
    assert conftest.is_required("mine", setting) is expected


@pytest.mark.parametrize(("setting", "code"), [("", 0), ("mine", 1)])
def test_the_summary_names_the_system_and_the_reason(
    tmp_path: Path, setting: str, code: int
) -> None:
    shutil.copy(conftest.__file__, tmp_path / "conftest.py")
    (tmp_path / "test_it.py").write_text(A_TEST)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        env=os.environ | {"REQUIRE": setting},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == code, result.stdout
    _, _, summary = result.stdout.partition("systems that could not be brought up")
    assert "mine: no such product here" in summary
