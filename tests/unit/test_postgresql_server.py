"""Where binaries are looked for, and how a component is told from a path."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from deduplab.adapters.postgresql import PostgresqlAdapter
from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.servers import _account, _postgresql_binaries, _process
from deduplab.servers._postgresql_binaries import (
    BINARIES_VARIABLE,
    binary_directories,
    choose_binaries,
)
from deduplab.servers.postgresql import PostgresqlServer


def _binaries(root: Path, content: str = "") -> Path:
    directory = root / "bin"
    directory.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (directory / name).write_text(content)
    return directory


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Give each of the four places a PostgreSQL."""
    wheel = _binaries(tmp_path / "wheel")
    for version in ("9", "14", "16"):
        _binaries(tmp_path / "debian" / version, "with LZ4_compress_default inside")
    path = _binaries(tmp_path / "path")
    (path / "postgres").chmod(0o755)
    monkeypatch.setattr(_postgresql_binaries, "_wheel_directories", lambda: [wheel])
    monkeypatch.setattr(_postgresql_binaries, "_DEBIAN_ROOT", tmp_path / "debian")
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.delenv(BINARIES_VARIABLE, raising=False)
    return {"named": _binaries(tmp_path / "named"), "wheel": wheel, "path": path}


def test_order_wheel_debian_path(places: dict[str, Path], tmp_path: Path) -> None:
    debian = [tmp_path / "debian" / version / "bin" for version in ("16", "14", "9")]
    assert list(binary_directories()) == [places["wheel"], *debian, places["path"]]


def test_the_variable_comes_first(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINARIES_VARIABLE, str(places["named"]))
    assert choose_binaries("default") == places["named"]


def test_a_variable_without_programs_is_an_error(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(BINARIES_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(SystemUnavailable, match=BINARIES_VARIABLE):
        choose_binaries("default")


def test_incomplete_directories_are_passed_over(places: dict[str, Path], tmp_path: Path) -> None:
    (places["wheel"] / "initdb").unlink()
    assert choose_binaries("default") == tmp_path / "debian" / "16" / "bin"


def test_lz4_takes_the_first_that_was_built_with_it(
    places: dict[str, Path], tmp_path: Path
) -> None:
    assert choose_binaries("default") == places["wheel"]
    assert choose_binaries("toast-lz4") == tmp_path / "debian" / "16" / "bin"


def test_nothing_found_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_postgresql_binaries, "_wheel_directories", list)
    monkeypatch.setattr(_postgresql_binaries, "_DEBIAN_ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(BINARIES_VARIABLE, raising=False)
    with pytest.raises(SystemUnavailable, match="pip install"):
        choose_binaries("default")


def test_an_unknown_durability_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="none"):
        PostgresqlServer(tmp_path, variant="default", durability="none")
    assert list(tmp_path.iterdir()) == []


def test_without_the_driver_nothing_is_brought_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as where the extra was not installed
    server = PostgresqlServer(tmp_path, variant="default", durability="fsync")
    with pytest.raises(SystemUnavailable, match=r"'deduplab\[postgresql\]'"):
        server.start()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("pg_wal/000000010000000000000001", "wal"),
        ("pg_wal/archive_status/x.done", "wal"),
        ("base/5/16384", "data"),
        ("base/5/16384_fsm", "data"),
        ("base/pgsql_tmp/pgsql_tmp1.0", "temporary"),
        ("global/1262", "metadata"),
        ("pg_xact/0000", "metadata"),
        ("postmaster.pid", "metadata"),
    ],
)
def test_components_of_files(path: str, component: str) -> None:
    found = next(
        name for glob, name in PostgresqlAdapter.file_components if fnmatchcase(path, glob)
    )
    assert found == component


def test_the_closed_directory_is_named(tmp_path: Path) -> None:
    stranger = _account.Account("stranger", 54321, 54321)
    inner = tmp_path / "home" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "home").chmod(0o700)
    # The test's own directory may be closed as well; then that one is named.
    closed = _account.first_closed_directory(inner, stranger)
    assert closed in {*tmp_path.resolve().parents, tmp_path.resolve(), tmp_path.resolve() / "home"}
    assert _account.first_closed_directory(Path("/"), stranger) is None


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert _process.log_tail(log) == ""
    log.write_text("".join(f"line {index}\n" for index in range(5000)))
    assert _process.log_tail(log, lines=2) == "line 4998\nline 4999"
