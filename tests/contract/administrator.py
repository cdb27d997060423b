"""Who rules a private server in tests: runs the written rights, takes one away, gives it back."""

from __future__ import annotations

import secrets
import subprocess
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from deduplab import registry
from deduplab.server import Endpoint, Secret

USER = "granted"
NAMESPACES = "deduplab"


class Administrator(ABC):
    """Brings up a private server and rules it.

    Attributes
    ----------
    system
        The registry's name of it.
    lives
        Pairs (variant, durability) that need all rights of the text between them.
    brought_up_as
        The variant that the server is brought up with, where its own differ by start options.
    not_by_a_verb
        Rights that no verb asks for, each with what does.
    late_right
        One that is missed only when a cell has measured something.
    limits_names
        Whether the product can limit rights to names that begin in one way.
    """

    system: ClassVar[str]
    lives: ClassVar[tuple[tuple[str, str], ...]]
    brought_up_as: ClassVar[str] = ""
    not_by_a_verb: ClassVar[dict[str, str]] = {}
    late_right: ClassVar[str]
    limits_names: ClassVar[bool] = True

    def __init__(self, workspace: Path) -> None:
        variant, durability = self.lives[0]
        kind = registry.system(self.system).server_class()
        self.server = kind(workspace, variant=self.brought_up_as or variant, durability=durability)
        self.password = Secret(secrets.token_urlsafe(18))
        self.text = ""
        self.endpoint = Endpoint()

    def start(self) -> None:
        """Bring the server up."""
        self.endpoint = self.server.start()

    def stop(self) -> None:
        """Stop it."""
        self.server.stop()

    def grant(self) -> Endpoint:
        """Run the text for a new user; return how this user reaches the server."""
        text = registry.system(self.system).grants(USER, NAMESPACES)
        assert "<password>" in text
        self.text = text.replace("<password>", self.password.reveal())
        self.run(self.text)
        return self.as_user()

    def as_user(self) -> Endpoint:
        """Return the endpoint, logged in as the user of the text; its files can't be seen."""
        return replace(self.endpoint, user=USER, secret=self.password, directory=None)

    @abstractmethod
    def run(self, text: str) -> None:
        """Run statements or commands of the product as its administrator."""

    def live_with(self, durability: str) -> None:
        """Set the server's durability, where all users share one that can be changed."""
        assert durability

    def make_foreign(self, namespace: str) -> None:
        """Make something of a namespace's name that is not ours, where names are not limited."""
        raise NotImplementedError(f"{self.system} limits rights to names: {namespace}")

    @abstractmethod
    def rights(self) -> list[str]:
        """Return the single rights of the text, in words of the product."""

    @abstractmethod
    def revoke(self, right: str) -> None:
        """Take one of these away."""

    @abstractmethod
    def restore(self, right: str) -> None:
        """Give it back."""


def checked(command: list[str], text: str = "", environment: dict[str, str] | None = None) -> str:
    """Run a program to its end, and fail with its words if it fails."""
    done = subprocess.run(
        command, input=text, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", **(environment or {})},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-800:]} {done.stderr[-800:]}"
    return done.stdout
