"""``deduplab data``: datasets made as files, and verified, as a user does it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SPEC = """
payload = "structured_json"
logical_size = "300 KiB"
object_size = { kind = "uniform", least = "400 B", most = "2 KiB" }
grade = "U50"
distance = "shuffled"
placement = "across"
"""


def deduplab(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deduplab", "data", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    (tmp_path / "spec.toml").write_text(SPEC)
    output = tmp_path / "made"
    done = deduplab("make", tmp_path / "spec.toml", "-o", output, "--json")
    return output, json.loads(done.stdout)


def test_what_is_made_is_what_the_manifest_says(made: tuple[Path, dict[str, Any]]) -> None:
    directory, manifest = made
    files = sorted((directory / "objects").rglob("*.json"))
    payloads = [file.read_bytes() for file in files]
    assert len(files) == manifest["objects"]
    assert sum(map(len, payloads)) == manifest["logical_bytes"]
    assert sum(map(len, set(payloads))) == manifest["unique_bytes"]
    assert all(isinstance(json.loads(payload), dict) for payload in payloads)
    second = sum(file.stat().st_size for file in files if file.stem.endswith("x"))
    assert manifest["container_bytes"][1] == second > 0
    assert "verified" in deduplab("verify", directory).stdout


def test_a_changed_file_is_found(made: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = made
    file = next((directory / "objects").rglob("*.json"))
    file.write_bytes(file.read_bytes().replace(b"{", b" ", 1))
    done = deduplab("verify", directory, "--json", code=9)
    differences = json.loads(done.stdout)["differences"]
    assert any(line.startswith("digest: the manifest says") for line in differences)
    assert "is not what its manifest says" in done.stderr


def test_a_file_too_few_or_too_many_is_a_sentence(made: tuple[Path, dict[str, Any]]) -> None:
    directory, manifest = made
    file = next((directory / "objects").rglob("*.json"))
    (file.parent / "stranger.txt").write_text("x")
    assert "does not belong here" in deduplab("verify", directory, code=9).stderr
    (file.parent / "stranger.txt").unlink()
    (directory / "objects" / "beside.txt").write_text("x")
    said = deduplab("verify", directory, code=9).stderr
    assert f"{str(directory / 'objects' / 'beside.txt')!r} does not belong here" in said
    (directory / "objects" / "beside.txt").unlink()
    file.unlink()
    message = f"holds {manifest['objects'] - 1} objects, the manifest names {manifest['objects']}"
    assert message in deduplab("verify", directory, code=9).stderr


def test_what_is_no_regular_file_is_a_sentence(made: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = made
    file = next((directory / "objects").rglob("*.json"))
    elsewhere = directory.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    said = f"{str(file)!r} is no regular file"
    assert said in deduplab("verify", directory, code=9).stderr
    file.unlink()
    os.mkfifo(file)  # which nobody writes to
    assert said in deduplab("verify", directory, code=9).stderr


def test_a_total_far_below_the_asked_one_is_shown(tmp_path: Path) -> None:
    """Of two objects the second, with its copies, is too much, so that the first stays alone."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"short")
    (source / "b").write_bytes(bytes(range(200)))
    (tmp_path / "spec.toml").write_text(
        f'payload = "files"\nsource = "{source}"\nobject_size = {{ kind = "natural" }}\n'
        'logical_size = 400\ngrade = "U50"\n'
    )
    shown = deduplab("make", tmp_path / "spec.toml", "-o", tmp_path / "made").stdout
    assert "10 B (10 B)" in shown
    assert "asked for" in shown
    assert "400 B" in shown


def test_bad_requests_are_refused_with_a_sentence(
    tmp_path: Path, made: tuple[Path, dict[str, Any]]
) -> None:
    directory, _ = made
    again = deduplab("make", tmp_path / "spec.toml", "-o", directory, code=9)
    assert "is not empty" in again.stderr
    assert "has no manifest.json" in deduplab("verify", tmp_path, code=9).stderr
    (tmp_path / "manifest.json").write_text("{")
    assert "is no manifest" in deduplab("verify", tmp_path, code=9).stderr
    assert "name families to fetch, or --all" in deduplab("fetch", code=2).stderr
    assert "did you mean 'nasa_image'" in deduplab("fetch", "nasa_imge", code=2).stderr


def test_the_list_names_every_family_with_its_origin() -> None:
    rows = {row["payload"]: row for row in json.loads(deduplab("list", "--json").stdout)}
    assert len(rows) == 15
    assert rows["random_binary"]["kind"] == "synthetic"
    assert "pypi" in rows["nasa_image"]["origins"]
    assert all(row["licences"] for row in rows.values() if row["kind"] == "real")
    shown = deduplab("list").stdout
    assert all(name in shown for name in rows)
