"""A pipeline as GitLab reads it: one ``.gitlab-ci.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from deduplab.errors import PlanError
from deduplab.ops.pipeline import Pipeline
from deduplab.ops.rendering import environment

STATE: Final = ".deduplab"
"""The folder of the project that keeps runs between jobs and pipelines."""

ARTIFACTS: Final = "deduplab-export"
"""The folder that export hands to GitLab as artifacts: a target like any other."""


@dataclass(frozen=True, slots=True)
class Runner:
    """How jobs run.

    Attributes
    ----------
    runs
        An absolute path of the runners that keeps runs; None keeps them in the project's folder,
        in the cache and as artifacts of the job.
    image
        The image of jobs; None for runners that use none.
    tags
        Which runners take the jobs.
    setup
        Commands before those of every job, as one that installs deduplab.
    """

    runs: str | None = None
    image: str | None = None
    tags: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a path that would be another one in every job."""
        if self.runs is not None and not PurePath(self.runs).is_absolute():
            raise PlanError(
                f"--state {self.runs!r} has to be an absolute path that all runners have; without "
                "--state runs are kept in GitLab's cache"
            )


def render(pipeline: Pipeline, runner: Runner, command: str) -> str:
    """Return the file; ``command`` is what it says of how it was rendered.

    Raises
    ------
    PlanError
        If the plan's path is not one of the repository.
    """
    if PurePath(pipeline.plan).is_absolute() or ".." in PurePath(pipeline.plan).parts:
        raise PlanError(f"{pipeline.plan} is not in the repository: name it by its path there")
    return (
        environment()
        .get_template("gitlab-ci.yml.j2")
        .render(pipeline=pipeline, runner=runner, command=command, state=STATE, artifacts=ARTIFACTS)
    )
