"""What is fetched and what is installed lie in one cache, wherever the environment says it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deduplab.datasets import origins
from deduplab.servers import _kafka_binaries, _minio_binaries


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
    ],
    ids=["data", "kafka", "minio"],
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
