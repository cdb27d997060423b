"""Plans and examples that come with deduplab are found from any directory, and no others."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from deduplab.cli.shipped import folder, here_or_shipped


def found(path: str) -> Path:
    argument = click.Argument(["plan_path"])
    return here_or_shipped(click.Context(click.Command("run")), argument, Path(path))


def test_one_that_is_not_here_is_the_one_that_came_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert found("plans/quick.toml").read_text().startswith("# The first run")
    assert str(folder("plans") / "quick.toml") in capsys.readouterr().err
    assert found("examples/dataset.toml").is_file()


def test_one_that_is_here_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "quick.toml").write_text("name = 'mine'")
    assert found("plans/quick.toml") == Path("plans/quick.toml")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "path", ["plans/quik.toml", "quick.toml", "my/plans/quick.toml", "docs/method.md", "/plans/x"]
)
def test_another_path_stays_what_it_is(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert found(path) == Path(path)
