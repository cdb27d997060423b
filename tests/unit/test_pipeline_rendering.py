"""A rendered pipeline says what it has to, whatever stands in names and addresses."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from deduplab.errors import PlanError
from deduplab.ops import gitlab, script
from deduplab.ops.gitlab import Runner
from deduplab.ops.pipeline import NeededSecret, Pipeline
from deduplab.ops.rendering import item, scalar

TARGET = "s3://lab/r?endpoint=https://h:1&access_key=lab&secret=env:LAB_S3"
STEPS = ("preflight", "reset", "run", "export", "clean-up")


def pipeline(*targets: str) -> Pipeline:
    return Pipeline(
        name="quick", digest="d" * 16, plan="plans/my plan.toml", scale="1/2", only="redis",
        targets=targets, whole_targets=targets,
        secrets=(NeededSecret.of("env:LAB_S3", "the target"), NeededSecret.of("file:/s", "it")),
        run_hours=7,
    )  # fmt: skip


def loaded(runner: Runner, *targets: str) -> dict[str, Any]:
    text = gitlab.render(pipeline(*targets), runner, "deduplab ops gitlab render")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@pytest.mark.parametrize("state", [None, "/srv/runs"])
def test_every_job_is_guarded_and_in_order(state: str | None) -> None:
    document = loaded(Runner(runs=state), TARGET)
    assert document["stages"] == list(STEPS)
    assert document["default"]["interruptible"] is False
    shared = document[".deduplab"]
    assert shared["resource_group"] == "deduplab"
    assert ("cache" in shared) is (state is None)
    for step in STEPS:
        assert document[step]["extends"] == ".deduplab"
        assert document[step]["stage"] == step
    assert document["run"]["timeout"] == "7 hours"
    assert "runner_system_failure" in document["run"]["retry"]["when"]
    assert document["export"]["when"] == "always"
    assert document["export"]["artifacts"]["when"] == "always"
    assert [need["job"] for need in document["clean-up"]["needs"]] == ["run", "export"]
    assert "when" not in document["clean-up"], "only where what it needs went well"
    assert ("artifacts" in document["run"]) is (state is None)


def test_commands_arrive_at_the_shell_as_they_were_meant() -> None:
    targets = (TARGET, "it's: #1", "- x", "a\\b\"c'd $HOME", "{run}.zip")
    document = loaded(Runner(), *targets)
    for step, wanted in (
        ("preflight", pipeline(*targets).preflight),
        ("export", pipeline(*targets).export),
        ("clean-up", pipeline(*targets).clean_up),
    ):
        assert document[step]["script"] == wanted
        words = shlex.split(wanted[-1])
        assert [words[n + 1] for n, word in enumerate(words) if word == "--to"] == list(targets)
    assert document["run"]["script"] == [
        "deduplab run 'plans/my plan.toml' --scale 1/2 --only redis"
    ]
    assert document["reset"]["script"] == [
        "deduplab clean --plan 'plans/my plan.toml' --only redis"
    ]


def test_runners_are_told_in_the_file() -> None:
    runner = Runner("/srv/runs", "python:3.12", ("lab", "2: x"), ("pip install 'deduplab[all]'",))
    document = loaded(runner, TARGET)
    default = document["default"]
    assert default["image"] == "python:3.12"
    assert default["tags"] == ["lab", "2: x"]
    assert default["before_script"] == ["pip install 'deduplab[all]'"]
    assert document["variables"] == {"DEDUPLAB_RUNS": "/srv/runs"}


def test_secrets_are_named_and_there_is_none() -> None:
    text = gitlab.render(pipeline(TARGET), Runner(), "deduplab ops gitlab render")
    assert "#   LAB_S3: the target\n" in text
    assert "#   the file /s (on the runner): it\n" in text
    assert "$LAB_S3: the target" in script.render(pipeline(TARGET), "x")


@example("true")
@example("a ")
@given(st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1))
def test_any_text_is_one_scalar(text: str) -> None:
    assert yaml.safe_load(f"x: {scalar(text)}") == {"x": text}
    assert yaml.safe_load(f"x:\n{item('$ ' + text)}\n") == {"x": ["$ " + text]}
    assert yaml.safe_load(f"x:\n{item(text.lstrip())}\n")["x"][0] in (text.lstrip(), None)


def test_the_script_is_one_for_any_sh() -> None:
    text = script.render(pipeline(TARGET, "it's"), "deduplab ops pipeline x --to 'it'\"'\"'s'")
    for shell in ("sh", "bash"):
        done = subprocess.run([shell, "-n"], input=text.encode(), timeout=30, check=False)
        assert done.returncode == 0
    assert not re.search(r"\[\[|function |local ", text)


def test_a_pipeline_whose_exports_are_parts_is_refused() -> None:
    with pytest.raises(PlanError, match="no target takes all of a run"):
        dataclasses.replace(pipeline(TARGET), whole_targets=())
