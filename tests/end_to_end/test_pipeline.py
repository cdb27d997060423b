"""The pipeline of a campaign, run: by gitlab-ci-local as GitLab would, and as a script."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from tests.end_to_end.conftest import command, environment, workspace_of, write_plan
from tests.end_to_end.local_gitlab import DEADLINE_S, Project, ended, require_program
from tests.unit.exported_runs import require_sound

ALL = ("preflight", "reset", "run", "export", "clean-up")
COMMIT_DEADLINE_S = 120


def render(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("ops", *arguments), cwd=project, capture_output=True, text=True, timeout=60,
        check=False, env=environment(project),
    )  # fmt: skip


@pytest.fixture
def project(
    tmp_path: Path, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[Project]:
    require_program(not_brought_up)
    workspace = workspace_of(tmp_path)
    root = tmp_path / "project"
    root.mkdir()
    write_plan(root / "plan.toml", ["plain"])
    yield Project(root, {"DEDUPLAB_WORKSPACE": str(workspace)})
    assert not list(workspace.glob("instance-*"))
    shutil.rmtree(workspace, ignore_errors=True)


def rendered(project: Project, *arguments: str) -> None:
    done = render(project.root, "gitlab", "render", "plan.toml", "-o", ".gitlab-ci.yml", *arguments)
    assert done.returncode == 0, done.stderr
    project.commit()


def test_all_five_stages_of_gitlab_pass(project: Project, tmp_path: Path) -> None:
    rendered(project, "--to", str(tmp_path / "results"))
    done = project.pipeline()
    assert done.returncode == 0, done.stdout
    assert "json schema validated" in done.stdout
    assert ended(done.stdout) == dict.fromkeys(ALL, "PASS")
    run = re.search(r"run (small-\S+) deleted", done.stdout)
    assert run is not None
    for place in (tmp_path / "results", project.root / "deduplab-export"):
        require_sound(place / run[1])
    cleaned = project.root / ".gitlab-ci-local" / "builds" / "clean-up" / ".deduplab" / "runs"
    assert not list(cleaned.glob("[!.]*/run.json"))


def test_after_a_failed_export_nothing_is_cleaned_up(project: Project, tmp_path: Path) -> None:
    """Its repository answers, and then takes no push."""
    bare = tmp_path / "results.git"
    subprocess.run(["git", "init", "--quiet", "--bare", bare], timeout=60, check=True)
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    project.environment |= {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@lab.example"}
    rendered(project, "--to", str(bare))
    done = project.pipeline()
    assert done.returncode != 0
    assert "the push was refused" in done.stdout
    jobs = ended(done.stdout)
    assert (jobs["run"], jobs["export"]) == ("PASS", "FAIL")
    assert "clean-up" not in jobs
    (run,) = project.runs.glob("[!.]*/run.json")

    # The second lock: whoever starts the job all the same, is refused.
    forced = project.pipeline("clean-up", "--no-needs")
    assert ended(forced.stdout)["clean-up"] == "FAIL"
    assert "stays: its export as it is now is not at" in forced.stdout
    cached = project.root / ".gitlab-ci-local" / "builds" / "clean-up" / ".deduplab" / "runs"
    assert (cached / run.parent.name / "run.json").exists()


def test_a_run_that_was_killed_goes_on_in_the_next_pipeline(
    project: Project, tmp_path: Path
) -> None:
    write_plan(project.root / "plan.toml", ["plain", "sqlite"], repetitions=5)
    rendered(project)
    log = tmp_path / "log"
    with log.open("w") as file:
        first = subprocess.Popen(
            project.command(), cwd=project.root, env=project.told(), stdout=file, stderr=file
        )
        kill_the_run(first, project)
        assert first.wait(DEADLINE_S) != 0
    text = log.read_text()
    jobs = ended(text)
    assert (jobs["run"], jobs["export"]) == ("FAIL", "PASS"), text
    assert "clean-up" not in jobs
    told = re.search(r"\(not finished: (\d+) of 30 cells\)", text)
    assert told is not None
    before = exported_cells(project)
    assert len(before) == int(told[1]) >= 2

    second = project.pipeline()
    assert second.returncode == 0, second.stdout
    assert ended(second.stdout) == dict.fromkeys(ALL, "PASS")
    assert f": {told[1]} of 30 cells are committed" in second.stdout
    after = exported_cells(project)
    assert len(after) == 30
    assert {path: after[path] for path in before} == before


def kill_the_run(first: subprocess.Popen[bytes], project: Project) -> None:
    """Kill the command of the job ``run`` once two cells are committed."""
    deadline = time.monotonic() + COMMIT_DEADLINE_S
    while len(list(project.runs.glob("[!.]*/cells/[!.]*"))) < 2:
        assert time.monotonic() < deadline, "no cell was committed in time"
        assert first.poll() is None, "the pipeline ended before"
        time.sleep(0.05)
    ours = [
        process
        for process in psutil.Process(first.pid).children(recursive=True)
        if process.cmdline()[-2:] == ["run", "plan.toml"]
    ]
    assert ours
    for process in ours:
        os.kill(process.pid, signal.SIGKILL)


def exported_cells(project: Project) -> dict[str, bytes]:
    exported = project.root / "deduplab-export"
    return {path.parent.name: path.read_bytes() for path in exported.glob("*/cells/*/cell.json")}


def test_what_is_missing_ends_the_pipeline_before_anything_is_measured(project: Project) -> None:
    plan = project.root / "plan.toml"
    remote = '[systems.redis.remote]\nhost = "127.0.0.1"\nport = 1\nsecret = "env:NO_SUCH"\n'
    plan.write_text(f'{plan.read_text()}{remote}tls = "off"\n')
    rendered(project)
    assert (
        "#   NO_SUCH: secret of the system redis" in (project.root / ".gitlab-ci.yml").read_text()
    )
    done = project.pipeline()
    assert done.returncode != 0
    assert "the secret's environment variable NO_SUCH is not set" in done.stdout
    assert ended(done.stdout)["preflight"] == "FAIL"
    assert "run" not in ended(done.stdout)
    assert not list(project.runs.glob("[!.]*"))


def test_gitlabs_own_schema_refuses_what_it_does_not_know(project: Project) -> None:
    """That the schema is held against the file at all is not taken for granted."""
    rendered(project)
    assert project.pipeline("--list").returncode == 0
    path = project.root / ".gitlab-ci.yml"
    path.write_text(path.read_text().replace("interruptible: false", "interruptible: 7"))
    refused = project.pipeline("--list")
    assert refused.returncode != 0
    assert "type must be boolean" in refused.stdout


def script(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    told = environment(tmp_path) | {
        "PATH": f"{Path(command()[0]).parent}{os.pathsep}{os.environ['PATH']}",
    }
    del told["DEDUPLAB_RUNS"]
    return subprocess.run(
        ["sh", "pipeline.sh", *words], cwd=tmp_path, env=told, capture_output=True, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip


def test_the_script_does_the_same_five_steps(tmp_path: Path, workspace: Path) -> None:
    write_plan(tmp_path / "plan.toml", ["plain"])
    target = "it's results"  # a name that has to be quoted
    done = render(tmp_path, "pipeline", "plan.toml", "--to", target, "-o", "pipeline.sh")
    assert done.returncode == 0, done.stderr
    try:
        (tmp_path / target).write_text("in the way")
        refused = script(tmp_path)
        assert refused.returncode == 5, refused.stderr
        assert not list((tmp_path / ".deduplab" / "runs").glob("[!.]*"))
        (tmp_path / target).unlink()
        for step in ("preflight", "reset", "run"):
            assert script(tmp_path, step).returncode == 0, step
        (run,) = (tmp_path / ".deduplab" / "runs").glob("[!.]*")
        unexported = script(tmp_path, "clean-up")
        assert unexported.returncode == 5
        assert run.exists()
        assert script(tmp_path, "export").returncode == 0
        assert script(tmp_path, "clean-up").returncode == 0
        assert not run.exists()
        require_sound(tmp_path / target / run.name)
        whole = script(tmp_path)
        assert whole.returncode == 0, whole.stderr
        assert len(list((tmp_path / target).iterdir())) == 2
        assert script(tmp_path, "nonsense").returncode == 2
        with (tmp_path / ".deduplab" / "runs" / ".pipeline").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            busy = script(tmp_path, "reset")
        assert (busy.returncode, "another pipeline works" in busy.stderr) == (5, True)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def test_the_script_exports_what_a_failed_run_measured_and_keeps_it(
    tmp_path: Path, workspace: Path
) -> None:
    write_plan(tmp_path / "plan.toml", ["plain"])
    render(tmp_path, "pipeline", "plan.toml", "--to", "results", "-o", "pipeline.sh")
    text = (tmp_path / "pipeline.sh").read_text()
    (tmp_path / "pipeline.sh").write_text(
        text.replace(" run plan.toml", " run plan.toml && (exit 7)")
    )
    try:
        done = script(tmp_path)
        assert done.returncode == 7
        assert "the run failed with exit code 7" in done.stderr
        (run,) = (tmp_path / ".deduplab" / "runs").glob("[!.]*")
        require_sound(tmp_path / "results" / run.name)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gitlab", "render", "/tmp/plan.toml"), "is not in the repository"),
        (("gitlab", "render", "plan.toml", "--state", "runs"), "has to be an absolute path"),
        (("gitlab", "render", "plan.toml", "--to", "ftp://x/y"), "unknown kind of target"),
        (("gitlab", "render", "none.toml"), "can't be read"),
        (("gitlab", "render", "plan.toml", "--to", "a\nb"), "has a line break"),
        (("pipeline", "plan.toml"), "no target takes all of a run"),
        (("pipeline", "plan.toml", "--to", "git+ssh://h/r.git"), "no target takes all of a run"),
    ],
)
def test_what_can_not_be_rendered_is_refused(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    write_plan(tmp_path / "plan.toml", ["plain"])
    if words[2:3] == ("/tmp/plan.toml",):
        words = (*words[:2], str(tmp_path / "plan.toml"))
    done = render(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
