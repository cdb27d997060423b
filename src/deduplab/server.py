"""The second seam: a server brings up one private, empty instance of a product.

Private means: a process of ours (or an embedded engine in this process) with
its own data directory, port, configuration and generated credentials, on
loopback only. Whoever starts a server stops it; an instance whose owner died
is recognised by its owner file and swept at the next start.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class Secret:
    """A credential that does not show itself in logs, messages or results.

    Parameters
    ----------
    source
        Where it was taken from, as ``env:NAME``; this may be shown. Empty for a
        generated one.
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "") -> None:
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """Return the credential, to be handed to a driver and to nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how an adapter reaches an instance.

    ``directory`` is the data directory where this process can see it (it is
    what the FILES layer measures), None for a remote server. ``options`` are
    product-specific, and never secret.
    """

    directory: Path | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None
    secret: Secret | None = None
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


class Server(ABC):
    """One private instance of a product, in a workspace of its own.

    Parameters
    ----------
    workspace
        An empty directory of ours; the instance keeps everything below it.
    variant, durability
        As in the cell, for products that take them as start-up options.
    """

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        self.workspace = workspace
        self.variant = variant
        self.durability = durability

    @classmethod
    def grants(cls, user: str = "deduplab", namespace: str = "deduplab") -> str:
        """Return what an administrator runs so that the lab can use a server of his own.

        These are the least rights that all verbs of the adapter need, as statements
        or commands of the product; comments say what each is for. ``<password>``
        stands for the password, which is never in the text. Nothing is run here.

        Parameters
        ----------
        user
            The user that is made.
        namespace
            What the names of the lab's namespaces begin with; the rights end there
            where the product can say so.

        Returns
        -------
        str
            Whole lines; empty for an embedded engine, which has no users.
        """
        return ""

    @abstractmethod
    def start(self) -> Endpoint:
        """Bring the instance up and return once it answers.

        Raises
        ------
        SystemUnavailable
            If it can't be brought up by the deadline; the message says why
            (with the end of the product's own log) and what to do.
        """

    @abstractmethod
    def stop(self) -> None:
        """Shut down in order, by force after a deadline; safe to call twice."""

    @abstractmethod
    def processes(self) -> tuple[int, ...]:
        """Return the ids of the processes that do the work now (this one for embedded engines)."""

    def ended(self) -> str | None:
        """Return how the instance ended though nobody stopped it, or None.

        None too where that can't be told: for a server that is not ours, and for an
        embedded engine, which ends with this process.
        """
        return None
