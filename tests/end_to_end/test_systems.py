"""``deduplab systems``: what is said before anything is installed, and the rights it prints."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from deduplab import registry
from deduplab.cli.systems_command import command
from deduplab.errors import PlanError, SystemUnavailable


def run(*words: str) -> str:
    done = CliRunner().invoke(command, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_a_dry_run_names_every_product_and_installs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: registry.SystemEntry, progress: object) -> Path:
        raise AssertionError("installed")

    monkeypatch.setattr(registry.SystemEntry, "install", refuse)
    said = run("install", "--all", "--dry-run")
    for entry in registry.systems().values():
        assert (f"{entry.name}: {entry.source}" in said.replace("\n", " ")) == bool(entry.installer)


def test_a_wheel_is_enough_for_some() -> None:
    assert "pip install 'deduplab[duckdb]' is enough" in run("install", "duckdb")


def test_a_name_is_said_once_and_what_comes_along_needs_nothing() -> None:
    said = run("install", "--dry-run", "sqlite", "sqlite")
    assert said == "sqlite: needs no installation of its own; it comes with deduplab\n"


@pytest.mark.parametrize("name", ["kafka", "minio", "nats"])
def test_a_cache_that_can_not_be_written_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("no folder")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho go9.0\n")
    program.chmod(0o755)
    for tool in ("java", "mvn", "go"):
        (tmp_path / tool).symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DEDUPLAB_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(command, ["install", name])
    assert isinstance(done.exception, SystemUnavailable), done.exception
    assert f"{name}: it can't be kept: " in done.output
    assert "name another folder by DEDUPLAB_CACHE" in done.output


@pytest.mark.parametrize("words", [["install"], ["install", "--all", "redis"]])
def test_names_and_all_exclude_each_other(words: list[str]) -> None:
    with pytest.raises(PlanError, match="name systems to install, or --all"):
        run(*words)


def test_an_unknown_system_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(PlanError, match="did you mean 'kafka'"):
        run("install", "kafak")


def test_one_that_can_not_be_had_does_not_keep_the_others_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def install(self: registry.SystemEntry, progress: object) -> Path:
        asked.append(self.name)
        if self.name == "redis":
            raise SystemUnavailable("no packages here")
        return Path("/somewhere")

    monkeypatch.setattr(registry.SystemEntry, "install", install)
    with pytest.raises(SystemUnavailable, match="not installed: redis"):
        run("install", "redis", "mariadb")
    assert asked == ["redis", "mariadb"]


@pytest.mark.parametrize("name", [*registry.systems()])
def test_the_rights_are_printed_as_they_are_and_nothing_else(name: str) -> None:
    done = CliRunner().invoke(command, ["grants", name], catch_exceptions=False)
    assert done.exit_code == 0
    text = registry.system(name).grants("deduplab", "deduplab")
    assert done.stdout == text
    assert ("nothing has to be granted" in done.stderr) is not bool(text)
    assert bool(text) is registry.system(name).takes_address


def test_the_rights_are_those_of_the_user_and_the_names_that_are_asked_for() -> None:
    said = run("grants", "mariadb", "--user", "lab", "--namespace", "mine")
    assert said == registry.system("mariadb").grants("lab", "mine")
    assert "'lab'@'%'" in said
    assert "`mine%`" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kafak"], "did you mean 'kafka'"),
        (["redis", "--user", "x' OR"], "--user"),
        (["redis", "--namespace", "a*"], "--namespace"),
    ],
)
def test_rights_for_what_is_no_name_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        run("grants", *words)
