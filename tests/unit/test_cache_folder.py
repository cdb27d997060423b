"""What is fetched and what is installed lie in one cache, wherever the environment says it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deduplab.cache_folder import cache_folder
from deduplab.datasets import origins
from deduplab.errors import PlanError
from deduplab.servers import _kafka_binaries, _minio_binaries, _nats_binaries


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DEDUPLAB_CACHE": "~/own"}, "home/own"),
        ({"DEDUPLAB_CACHE": "own"}, "here/own"),
        ({"XDG_CACHE_HOME": "relative"}, "home/.cache/deduplab"),
        ({}, "home/.cache/deduplab"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda: origins.cache_folder() / "any",
        lambda: _kafka_binaries.installed_libraries(),
        lambda: _minio_binaries.installed_program().parent,
        lambda: _nats_binaries.SERVER.installed_program().parent,
    ],
    ids=["data", "kafka", "minio", "nats"],
)
def test_there_is_one_cache(
    place: Callable[[], Path],
    variables: dict[str, str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("DEDUPLAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path / "home"), **variables}.items():
        monkeypatch.setenv(name, value)
    assert place().parent == tmp_path / expected


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEDUPLAB_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    # As in a container that runs under a number without an account.
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    with pytest.raises(PlanError, match="Set DEDUPLAB_CACHE"):
        cache_folder()
    monkeypatch.setenv("DEDUPLAB_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
