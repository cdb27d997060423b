"""What plan and sinks refer to: secrets and certificates, from one Secret in a cluster.

The Secret is there already, or is made by whoever knows what goes into it: a
manifest holds references only. A variable ``env:NAME`` is its key ``NAME``, a file
``file:PATH`` its key with the last part of the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from deduplab.config import Plan
from deduplab.errors import PlanError
from deduplab.ops.kubernetes.manifests.sinks import Sinks


@dataclass(frozen=True, slots=True)
class References:
    """Environment variables, and files with the key of each, by path."""

    variables: tuple[str, ...]
    files: dict[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the Secret must have."""
        return (*self.variables, *self.files.values())


def references(plan: Plan, sinks: Sinks | None = None) -> References:
    """Return what a plan's remote systems refer to, and the sinks where there are some.

    Raises
    ------
    PlanError
        If a file's path is not absolute, or two files would need the same key.
    """
    variables = set(sinks.variables if sinks else ())
    paths = set(sinks.paths if sinks else ())
    for system in plan.systems:
        if system.remote is None:
            continue
        kind, _, where = (system.remote.secret or "").partition(":")
        if kind == "env":
            variables.add(where)
        elif kind == "file":
            paths.add(where)
        if system.remote.ssl_ca is not None:
            paths.add(system.remote.ssl_ca)
    files: dict[str, str] = {}
    for path in sorted(paths):
        key = PurePosixPath(path).name
        if not PurePosixPath(path).is_absolute():
            raise PlanError(
                f"the file {path!r} is referred to, which in a container is nowhere: "
                "write its whole path, as file:/run/secrets/lab"
            )
        if key in files.values() or key in variables:
            raise PlanError(f"two references would have the key {key!r}: rename one")
        files[path] = key
    return References(tuple(sorted(variables)), files)
