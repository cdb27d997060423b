"""GitLab's pipelines on this machine: a project, and gitlab-ci-local that runs its jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from deduplab.errors import SystemUnavailable

NAME = "gitlab-ci-local"
DEADLINE_S = 300
_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = _ROOT / ".cache" / "node" / "node_modules" / ".bin" / NAME


@dataclass
class Project:
    """A project of GitLab's with its own home; jobs have folders, caches and artifacts apart."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        """Where the job ``run`` keeps its runs while it works."""
        return self.root / ".gitlab-ci-local" / "builds" / "run" / ".deduplab" / "runs"

    def commit(self) -> None:
        for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "x")):
            who = ("-c", "user.name=Ada", "-c", "user.email=ada@lab.example")
            subprocess.run(["git", *who, *words], cwd=self.root, timeout=60, check=True)

    def command(self, *arguments: str) -> list[str]:
        home = str(self.root.with_name(f"{self.root.name}-home"))
        return [
            str(_PROGRAM), "--force-shell-executor", "--shell-isolation", "--home", home, *arguments
        ]  # fmt: skip

    def told(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "160"} | self.environment

    def pipeline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run all jobs, or those that are named."""
        return subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.told(), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip


def require_program(not_brought_up: Callable[[str, Exception], NoReturn]) -> None:
    """Skip, and count, where it is not installed."""
    try:
        if shutil.which("node") is None:
            raise SystemUnavailable("there is no 'node'; install Node.js 20 or newer")
        if not _PROGRAM.exists():
            raise SystemUnavailable("it is not installed; do so with: sh scripts/node-packages.sh")
    except SystemUnavailable as error:
        not_brought_up(NAME, error)


def ended(output: str) -> dict[str, str]:
    """Return how each job ended, from the last lines."""
    lines = [line.split() for line in output.splitlines()]
    return {
        words[1]: words[0] for words in lines if len(words) >= 2 and words[0] in ("PASS", "FAIL")
    }
