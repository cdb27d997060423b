"""A pipeline as one shell script, for any other CI, and for a machine without one."""

from __future__ import annotations

from deduplab.ops.pipeline import Pipeline
from deduplab.ops.rendering import environment


def render(pipeline: Pipeline, command: str) -> str:
    """Return the script; ``command`` is what it says of how it was rendered."""
    template = environment().get_template("pipeline.sh.j2")
    return template.render(pipeline=pipeline, command=command)
