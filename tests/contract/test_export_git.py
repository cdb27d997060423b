"""Exports to Git repositories: nothing is forced, and that others were faster is told."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from deduplab.errors import PlanError, StoreError, SystemUnavailable
from deduplab.exports.catalogue import open_target
from deduplab.exports.directory import DirectoryTarget
from deduplab.exports.export import What
from deduplab.exports.receipts import read_receipts, standing
from deduplab.exports.still_there import require_still_there
from deduplab.store import Run
from tests.contract.certificates import issued
from tests.contract.git_over_https import git_over_https
from tests.unit.exported_runs import (
    RUN_ID,
    a_run,
    brought,
    finished_run,
    one_more,
    require_sound,
)

USER = ("Ada Lab", "ada@lab.example")


@pytest.fixture(autouse=True)
def _configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give git a configuration of the test's own, whatever this user's is."""
    config = tmp_path / "gitconfig"
    config.write_text(f"[user]\nname = {USER[0]}\nemail = {USER[1]}\n[core]\nautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{name}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{name}_EMAIL", raising=False)
    monkeypatch.chdir(tmp_path)


def git(*arguments: str | Path, given: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *map(str, arguments)], input=given, capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode("utf-8", "replace").strip()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A repository with a branch that has something of others."""
    path = tmp_path / "results.git"
    git("init", "--quiet", "--bare", path)
    commit_elsewhere(path, "theirs.txt")
    return path


def commit_elsewhere(bare: Path, name: str, branch: str = "deduplab-runs") -> None:
    """Commit as somebody else does who works on the same branch."""
    blob = git("-C", bare, "hash-object", "-w", "--stdin", given=b"theirs")
    listed = git("-C", bare, "ls-tree", branch) if has(bare, branch) else ""
    lines = [*listed.splitlines(), f"100644 blob {blob}\t{name}"]
    tree = git("-C", bare, "mktree", given="".join(f"{line}\n" for line in lines).encode())
    parents = ["-p", branch] if has(bare, branch) else []
    commit = git("-C", bare, "commit-tree", tree, *parents, "-m", f"add {name}")
    git("-C", bare, "update-ref", f"refs/heads/{branch}", commit)


def has(bare: Path, branch: str) -> bool:
    return bool(git("-C", bare, "branch", "--list", branch))


def checked_out(bare: Path, place: Path, branch: str = "deduplab-runs") -> Path:
    plain = ["-c", "core.autocrlf=false", "clone", "--quiet", "--branch", branch]
    git(*plain, bare, place)
    return place / RUN_ID


def test_a_run_is_committed_beside_what_is_there(bare: Path, tmp_path: Path) -> None:
    run = a_run(tmp_path)
    target = open_target(str(bare))
    assert brought(run, target).what is What.WRITTEN
    tip = git("-C", bare, "log", "-1", "--format=%an|%ae|%cn|%ce|%s", "deduplab-runs")
    assert tip == "|".join([*USER, *USER, f"Run {RUN_ID}"])
    require_sound(checked_out(bare, tmp_path / "seen"))
    assert (tmp_path / "seen" / "theirs.txt").exists()
    before = git("-C", bare, "rev-parse", "deduplab-runs")
    assert brought(run, target).what is What.THERE
    assert git("-C", bare, "rev-parse", "deduplab-runs") == before
    with run.locked():
        require_still_there(run, [target])

    one_more(run)
    with run.locked():
        cell_id = sorted(run.committed_ids())[0]
        run.set_aside(cell_id)
    assert brought(run, target).what is What.RENEWED
    assert git("-C", bare, "rev-parse", "deduplab-runs~1") == before
    folder = checked_out(bare, tmp_path / "seen-later")
    require_sound(folder)
    assert not (folder / "cells" / cell_id).exists()
    assert (folder / "set_aside" / f"{cell_id}-1").exists()


def test_the_first_run_makes_the_branch(tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", "new.git")
    run = finished_run(tmp_path)
    text = f"git+file://{tmp_path / 'new.git'}?branch=lab/runs"
    assert brought(run, open_target(text)).what is What.WRITTEN
    require_sound(checked_out(tmp_path / "new.git", tmp_path / "seen", "lab/runs"))
    (receipt,) = read_receipts(run.root)
    assert receipt.target == f"{tmp_path / 'new.git'} branch lab/runs"
    with run.locked():
        require_still_there(run)
        git("-C", "new.git", "update-ref", "-d", "refs/heads/lab/runs")
        with pytest.raises(StoreError, match="is not whole at"):
            require_still_there(run)


def test_a_push_that_others_were_faster_than_is_tried_again_and_told(
    bare: Path, tmp_path: Path
) -> None:
    """A hook of this user's pushes for somebody else, twice, between our fetch and our push."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    hook = hooks / "pre-push"
    hook.write_text(
        "#!/bin/sh\nset -eu\n"
        f'n=$(cat "{tmp_path}/count" 2>/dev/null || echo 0)\n'
        f'[ "$n" -lt 2 ] || exit 0\necho $((n + 1)) >"{tmp_path}/count"\n'
        f'unset GIT_DIR\ncd "{bare}"\n'
        "blob=$(echo theirs | git hash-object -w --stdin)\n"
        "tree=$({ git ls-tree deduplab-runs; "
        'printf \'100644 blob %s\\tlater-%s\\n\' "$blob" "$n"; } | git mktree)\n'
        'git update-ref refs/heads/deduplab-runs "$(git commit-tree "$tree" '
        '-p deduplab-runs -m later)"\n'
    )
    hook.chmod(0o755)
    git("config", "--global", "core.hooksPath", hooks)
    run = a_run(tmp_path)
    done = brought(run, open_target(str(bare)))
    assert (done.what, done.remark) == (What.WRITTEN, "others were faster 2 times")
    require_sound(checked_out(bare, tmp_path / "seen"))
    names = {path.name for path in (tmp_path / "seen").iterdir()}
    assert {"theirs.txt", "later-0", "later-1", RUN_ID} < names

    hook.write_text(hook.read_text().replace("-lt 2", "-lt 99"))
    one_more(run)
    with pytest.raises(StoreError, match="others pushed before us 5 times"):
        brought(run, open_target(str(bare)))
    assert standing(run).reason == "it is not exported"


def test_a_push_that_is_refused_is_told_and_not_tried_again(bare: Path, tmp_path: Path) -> None:
    hook = bare / "hooks" / "pre-receive"
    hook.write_text(
        f"#!/bin/sh\necho x >>{tmp_path}/asked\necho no pushes on Sundays >&2\nexit 1\n"
    )
    hook.chmod(0o755)
    run = finished_run(tmp_path)
    with pytest.raises(StoreError, match=r"the push was refused: .*no pushes on Sundays"):
        brought(run, open_target(str(bare)))
    assert (tmp_path / "asked").read_text() == "x\n"
    assert standing(run).reason == "it is not exported"
    assert git("-C", bare, "ls-tree", "--name-only", "deduplab-runs") == "theirs.txt"


def test_another_runs_folder_and_a_folder_of_others_are_left(bare: Path, tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    commit_elsewhere(bare, RUN_ID)
    with pytest.raises(StoreError, match="is there and is no export"):
        brought(run, open_target(str(bare)))
    target = open_target(f"git+file://{bare}?branch=other")
    brought(run, target)
    other = finished_run(tmp_path / "other")
    header = other.root / "run.json"
    header.write_text(header.read_text().replace("Example CPU", "Another CPU"))
    with pytest.raises(StoreError, match="another run of that name"):
        brought(Run.open(other.root), target)


def test_large_files_are_left_out_and_such_an_export_is_not_all_of_a_run(
    bare: Path, tmp_path: Path
) -> None:
    run = finished_run(tmp_path)
    largest = max(path.stat().st_size for path in (run.root / "cells").rglob("*.npy"))
    target = open_target(f"git+file://{bare}?largest={largest - 1}")
    done = brought(run, target)
    assert done.receipt.left_out > 0
    assert "larger files are not here" in git(
        "-C", bare, "log", "-1", "--format=%B", "deduplab-runs"
    )
    folder = checked_out(bare, tmp_path / "seen")
    require_sound(folder)
    assert not [p for p in folder.rglob("*") if p.is_file() and p.stat().st_size >= largest]
    assert standing(run).reason.startswith("a part of it alone was exported")
    assert brought(run, target).what is What.THERE
    brought(run, DirectoryTarget(tmp_path / "out"))
    with run.locked():
        require_still_there(run, [target])
        (tmp_path / "out").rename(tmp_path / "away")
        with pytest.raises(StoreError, match="is not whole at"):
            require_still_there(run, [target])


def test_without_an_identity_nothing_is_committed(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_text("")
    run = finished_run(tmp_path)
    with pytest.raises(PlanError, match=r"user.name is not set.*git config --global user.name"):
        brought(run, open_target(str(bare)))
    with pytest.raises(PlanError, match=r"user\.name is not set"):
        open_target(str(bare)).check()
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bea")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "bea@lab.example")
    assert brought(run, open_target(str(bare))).what is What.WRITTEN
    assert git("-C", bare, "log", "-1", "--format=%cn", "deduplab-runs") == "Bea"


def test_over_https_with_a_login_by_reference(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("-C", bare, "config", "http.receivepack", "true")
    password = secrets.token_urlsafe(24)
    monkeypatch.setenv("LAB_GIT", password)
    authority, certificate = issued(tmp_path, "git")
    run = a_run(tmp_path)
    with git_over_https(tmp_path, "lab", password, certificate) as port:
        text = f"git+https://lab@127.0.0.1:{port}/results.git?secret=env:LAB_GIT"
        with pytest.raises(SystemUnavailable, match="certificate"):
            brought(run, open_target(text))
        monkeypatch.setenv("GIT_SSL_CAINFO", str(authority))
        assert brought(run, open_target(text)).what is What.WRITTEN
        assert brought(run, open_target(text)).what is What.THERE
        require_sound(checked_out(bare, tmp_path / "seen"))
        monkeypatch.setenv("LAB_GIT", "wrong-" + password)
        with pytest.raises(SystemUnavailable, match="check the address, the login") as refused:
            brought(run, open_target(text))
    assert password not in str(refused.value)
    (receipt,) = read_receipts(run.root)
    assert receipt.target == f"git+https://127.0.0.1:{port}/results.git branch deduplab-runs"
    with pytest.raises(SystemUnavailable):
        brought(run, open_target("git+ssh://nobody@127.0.0.1:1/results.git"))
