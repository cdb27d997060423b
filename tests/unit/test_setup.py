"""What set-up and `make test` rest on: pins, the search for a Python, and the closing count."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PINNED = ("run", "dev", "installer")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SH = shutil.which("sh") or "/bin/sh"


def blocks(name: str) -> list[str]:
    """Each pinned requirement of a file with its hashes, comments removed."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return re.sub(r"\\\n", " ", "\n".join(lines)).strip().splitlines()


def pins(name: str) -> dict[str, str]:
    """Versions that a file installs on this machine's Python, by canonical name."""
    found: dict[str, str] = {}
    for block in blocks(name):
        requirement = Requirement(block.split(" --hash=")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate():
            (specifier,) = requirement.specifier
            found[canonicalize_name(requirement.name)] = specifier.version
    return found


@pytest.mark.parametrize("name", PINNED)
def test_every_requirement_has_one_version_and_hashes(name: str) -> None:
    assert blocks(name)
    for block in blocks(name):
        requirement = Requirement(block.split(" --hash=")[0].strip())
        assert [spec.operator for spec in requirement.specifier] == ["=="], block[:80]
        hashes = block.split(" --hash=")[1:]
        assert hashes, block[:80]
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest.strip()) for digest in hashes)


@pytest.mark.parametrize("name", PINNED)
def test_no_address_path_or_option_in_pinned_files(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"(^|[\s=@])/\w", text, re.MULTILINE)
    assert not [line for line in text.splitlines() if line.startswith("-")]


def declared(name: str) -> list[str]:
    """What pyproject.toml asks for, without its own extras."""
    project = PROJECT["project"]
    if name == "dev":
        return list(PROJECT["dependency-groups"]["dev"])
    extras = [text for group in project["optional-dependencies"].values() for text in group]
    own = project["name"]
    return [
        text
        for text in (*project["dependencies"], *extras, *PROJECT["build-system"]["requires"])
        if Requirement(text).name != own
    ]


@pytest.mark.parametrize("name", ["run", "dev"])
def test_pins_satisfy_what_the_project_declares(name: str) -> None:
    pinned = pins(name)
    stale = []
    for text in declared(name):
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            stale.append(f"{text} (pinned: {version})")
    assert not stale, "run `make lock`"


def test_files_that_are_installed_together_agree() -> None:
    run, dev = pins("run"), pins("dev")
    assert {name: dev[name] for name in run.keys() & dev.keys()} == {
        name: run[name] for name in run.keys() & dev.keys()
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_each_package_is_pinned_at_most_once_for_a_python(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.1"}
    for name in PINNED:
        requirements = [Requirement(block.split(" --hash=")[0].strip()) for block in blocks(name)]
        chosen = [
            requirement.name
            for requirement in requirements
            if requirement.marker is None or requirement.marker.evaluate(environment)
        ]
        assert len(chosen) == len(set(chosen))


def find_python(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the search with nothing but this directory on the path."""
    return subprocess.run(
        [SH, str(ROOT / "scripts" / "find-python.sh")],
        env={"PATH": str(directory), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!{SH}\n{script}\n")
    path.chmod(0o755)


def test_search_passes_over_commands_that_fail_and_takes_the_newest(tmp_path: Path) -> None:
    command(tmp_path, "python3", "echo 1 3011 /opt/a b/python3")
    command(tmp_path, "python3.13", "echo not active >&2; exit 127")
    command(tmp_path, "python3.12", "echo 1 3012 /opt/a b/python3.12")
    assert find_python(tmp_path).stdout == "/opt/a b/python3.12\n"


def test_search_prefers_a_python_that_can_build_environments(tmp_path: Path) -> None:
    command(tmp_path, "python3", "echo 1 3011 /opt/python3")
    command(tmp_path, "python3.13", "echo 0 3013 /opt/python3.13")
    assert find_python(tmp_path).stdout == "/opt/python3\n"


def test_search_runs_the_candidate_it_is_given(tmp_path: Path) -> None:
    found = find_python(tmp_path, PYTHON=sys.executable)
    assert found.returncode == 0
    assert Path(found.stdout.strip()).exists()


def test_search_without_a_python_says_what_to_install(tmp_path: Path) -> None:
    command(tmp_path, "python3", "exit 1")
    found = find_python(tmp_path)
    assert found.returncode == 1
    assert found.stdout == ""
    assert "Python 3.11 or newer" in found.stderr
    assert "apt-get install python3" in found.stderr


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check", ROOT / "scripts" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check"] = module
    spec.loader.exec_module(module)
    return module


def counted(check: ModuleType, place: Path, *options: str) -> str:
    """Run the small suite in a directory, and count what pytest wrote."""
    junit = place / "junit.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--junit-xml={junit}", *options, "test_sample.py"],
        cwd=place,
        env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return str(check.count_junit(junit))


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["no worker", "a worker"])
def test_closing_line_counts_what_pytest_ran(
    check: ModuleType, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    (tmp_path / "test_sample.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def breaks_afterwards():\n    yield\n    raise OSError\n"
        "@pytest.fixture\n"
        "def breaks_before():\n    raise OSError\n"
        "@pytest.mark.parametrize('n', [1, 2, 3])\n"
        "def test_good(n): pass\n"
        "def test_bad(): assert False\n"
        "def test_skipped(): pytest.skip('absent')\n"
        "def test_bad_before(breaks_before): pass\n"
        "def test_bad_afterwards(breaks_afterwards): pass\n"
    )
    assert counted(check, tmp_path, *workers) == "3 passed, 3 failed, 1 skipped"


def test_a_worker_that_dies_has_failed_its_test(check: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(
        "import os\n"
        "def test_before(): pass\n"
        "def test_deadly(): os._exit(0)\n"
        "def test_after(): pass\n"
    )
    assert counted(check, tmp_path, "-n", "1") == "2 passed, 1 failed, 0 skipped"


def test_a_check_that_fails_or_is_absent_counts_as_failed(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(tmp_path, "good", "exit 0")
    command(tmp_path, "bad", "exit 3")
    monkeypatch.setattr(check, "BIN", tmp_path)
    verdicts = [check.run_check(name, (name,)) for name in ("good", "bad", "absent")]
    assert [str(verdict.counts) for verdict in verdicts] == [
        "1 passed, 0 failed, 0 skipped",
        "0 passed, 1 failed, 0 skipped",
        "0 passed, 1 failed, 0 skipped",
    ]


def test_tests_that_could_not_start_count_as_failed(check: ModuleType) -> None:
    counts = check.run_tests(["--no-such-option"])
    assert str(counts) == "0 passed, 1 failed, 0 skipped"
