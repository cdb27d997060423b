"""The pipeline of a campaign: five steps, each some commands, whatever runs them.

preflight tries what the plan needs; reset takes away what killed runs left; run measures, and
goes on where it was ended; export brings every run to its targets, also after a run that failed;
clean-up deletes what is wholly exported, and looks itself whether it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from deduplab.errors import PlanError


@dataclass(frozen=True, slots=True)
class NeededSecret:
    """A secret that the plan or a target refers to: by its name, never what it is.

    ``kind`` is ``env`` (a variable) or ``file``; ``needed_by`` says what for.
    """

    kind: str
    name: str
    needed_by: str

    @classmethod
    def of(cls, reference: str, needed_by: str) -> NeededSecret:
        """Read a reference as plans write it."""
        kind, _, name = reference.partition(":")
        return cls(kind, name, needed_by)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A plan with all that its five steps are made of.

    Attributes
    ----------
    name, digest
        Those of the plan.
    plan
        The path of the plan, from where the steps run.
    scale, only
        What changes what the plan unfolds to, as it was written; empty where nothing does.
    targets
        Where runs are exported to, as they were written.
    whole_targets
        Those of them that take all of a run.
    secrets
        What has to be there by name.
    run_hours
        When a run that has not ended is taken for stuck.
    """

    name: str
    digest: str
    plan: str
    scale: str
    only: str
    targets: tuple[str, ...]
    whole_targets: tuple[str, ...]
    secrets: tuple[NeededSecret, ...]
    run_hours: int

    def __post_init__(self) -> None:
        """Refuse a pipeline that would clean away what it has exported a part of."""
        if not self.whole_targets:
            raise PlanError(
                "no target takes all of a run (a Git repository takes small files only), so "
                "nothing could be cleaned up; name a directory, an archive or a bucket with --to"
            )

    @property
    def preflight(self) -> list[str]:
        """Try what the plan and the targets need; nothing is measured or written."""
        return [
            _line("deduplab", "plan", self.plan, *self._options, "--check"),
            _line("deduplab", "export", "--check", *_to(self.targets)),
        ]

    @property
    def reset(self) -> list[str]:
        """Take away what bears our marker: instances of killed runs, namespaces at remote ones."""
        return [_line("deduplab", "clean", "--plan", self.plan, *self._only)]

    @property
    def run(self) -> list[str]:
        """Measure, or go on where it was ended."""
        return [_line("deduplab", "run", self.plan, *self._options)]

    @property
    def export(self) -> list[str]:
        """Bring every run there is to every target."""
        return [_line("deduplab", "export", "--all", *_to(self.targets))]

    @property
    def clean_up(self) -> list[str]:
        """Delete runs that are finished, and whose export lies at every target."""
        return [_line("deduplab", "clean", "--exported", *_to(self.targets), "--yes")]

    @property
    def _only(self) -> list[str]:
        return ["--only", self.only] if self.only else []

    @property
    def _options(self) -> list[str]:
        return [*(["--scale", self.scale] if self.scale else []), *self._only]


def _line(*words: str) -> str:
    """Return a command as a shell reads it.

    Raises
    ------
    PlanError
        If it would take more than one line.
    """
    for word in words:
        if not word.isprintable():
            raise PlanError(f"{word!r} has a line break or the like, so it is in no command")
    return shlex.join(words)


def _to(targets: Sequence[str]) -> list[str]:
    return [word for target in targets for word in ("--to", target)]
