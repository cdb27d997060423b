"""The program ``git``, run without questions and with a deadline."""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deduplab.errors import PlanError, StoreError, StoreFull, SystemUnavailable

DEADLINE_S: Final = 300.0
_FULL: Final = ("No space left on device", "Disk quota exceeded")
_AWAY: Final = (
    *("Could not resolve host", "Connection refused", "Connection timed out", "timed out"),
    *("unable to access", "Could not read from remote repository", "Authentication failed"),
    *("terminal prompts disabled", "Permission denied (", "does not appear to be a git repository"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call of git ended, and what it wrote."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """What it wrote on standard output, without the last line feed."""
        return self.output.decode("utf-8", "replace").rstrip("\n")


@dataclass(frozen=True, slots=True)
class Git:
    """Git in one repository, for one remote that ``shown`` names to people."""

    directory: Path
    shown: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ask(self, *arguments: str, given: bytes = b"") -> Answer:
        """Run a command, whatever its end.

        Raises
        ------
        PlanError
            If there is no git.
        SystemUnavailable
            If it takes too long.
        """
        return run_git(arguments, self.directory, self.environment, self.shown, given)

    def __call__(self, *arguments: str, given: bytes = b"") -> Answer:
        """Run a command that has to succeed.

        Raises
        ------
        StoreError, SystemUnavailable
            In git's own words.
        """
        answer = self.ask(*arguments, given=given)
        if answer.code:
            raise failure(self.shown, answer.errors)
        return answer


def run_git(
    arguments: tuple[str, ...],
    directory: Path | None,
    environment: Mapping[str, str],
    shown: str,
    given: bytes = b"",
) -> Answer:
    """Run a git command in a directory; see :meth:`Git.ask`."""
    told = os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"} | dict(environment)
    told.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30")
    try:
        done = subprocess.run(
            ("git", *arguments),
            cwd=directory,
            env=told,
            input=given,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise PlanError(f"{shown}: the program git is not here; install it: {error}") from error
    except subprocess.TimeoutExpired as error:
        words = f"git {arguments[0]} did not end within {DEADLINE_S:.0f} s"
        raise SystemUnavailable(f"{shown}: {words}") from error
    return Answer(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def failure(shown: str, errors: str) -> StoreError | SystemUnavailable:
    """Return the error for what git wrote when it failed."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = "; ".join(line for line in lines if not line.startswith("hint:"))[:500] or "git failed"
    if any(words in said for words in _FULL):
        return StoreFull(f"{shown}: {said}; free some space on that disk")
    if any(words in said for words in _AWAY):
        return SystemUnavailable(f"{shown}: {said}; check the address, the login and its rights")
    return StoreError(f"{shown}: {said}")


def identity(shown: str) -> dict[str, str]:
    """Return who commits, as git's configuration of the current directory says, for a commit.

    Raises
    ------
    PlanError
        If nothing says it: git's own guess would be a name of this machine.
    """
    told: dict[str, str] = {}
    for key, part in (("user.name", "NAME"), ("user.email", "EMAIL")):
        named = os.environ.get(f"GIT_AUTHOR_{part}") or os.environ.get(f"GIT_COMMITTER_{part}")
        value = named or run_git(("config", "--get", key), None, {}, shown).text
        if not value:
            raise PlanError(
                f"{shown}: git does not know who commits ({key} is not set); say it with: "
                f"git config --global {key} {shlex.quote('...')}"
            )
        told |= {f"GIT_AUTHOR_{part}": value, f"GIT_COMMITTER_{part}": value}
    return told


def login(user: str, password: str) -> dict[str, str]:
    """Return the environment that logs in by HTTP: a secret on a command line could be read."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
    }
