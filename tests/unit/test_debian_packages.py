"""Packages of Debian: what is there takes no rights, and only what is missing is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deduplab.errors import SystemUnavailable
from deduplab.servers._debian_packages import install_packages

_QUERY = """#!/bin/sh
for name; do :; done
case $name in
here) printf installed ;;
removed) printf config-files ;;
*) exit 1 ;;
esac
"""


@pytest.fixture(autouse=True)
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "dpkg-query": _QUERY,
        "apt-get": "#!/bin/sh\necho refused\nexit 1\n",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_what_is_there_is_left_as_it_is() -> None:
    told: list[str] = []
    install_packages(("here", "here"), told.append)
    assert not told


def test_only_what_is_missing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemUnavailable, match=r"sudo apt-get .*recommends removed new$"):
        install_packages(("here", "removed", "new"), print)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    told: list[str] = []
    with pytest.raises(SystemUnavailable, match="refused"):
        install_packages(("here", "new"), told.append)
    assert told == ["apt-get install --yes --no-install-recommends new"]


def test_without_debians_tools_all_of_them_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(SystemUnavailable, match="no apt-get; install by hand: here, new"):
        install_packages(("here", "new"), print)
