"""The second seam: a server brings up one private, empty instance of a product.

Private means: a process of ours (or an embedded engine in this process) with
its own data directory, port, configuration and generated credentials, on
loopback only. Whoever starts a server stops it; an instance whose owner died
is recognised by its owner file and swept at the next start.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deduplab.errors import Unsupported


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
    product-specific, and never secret. ``members`` are the other members of a replicated
    system, each reached for itself.
    """

    directory: Path | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None
    secret: Secret | None = None
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    members: tuple[Endpoint, ...] = ()

    @property
    def address(self) -> str:
        """Host and port as they stand in a URL: an IPv6 address is in brackets."""
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a replicated system: it keeps a physical copy of everything.

    Attributes
    ----------
    name
        What it is called in a footprint, as ``leader`` or ``broker-2``.
    directory
        Its data directory.
    """

    name: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Client:
    """How a person talks to an instance: the product's own client, logged in.

    Attributes
    ----------
    argv
        The program and what it needs to log in; never a secret, other users can read
        it. Empty where the product has several clients or none of its own: then the
        environment is what logs in, for a shell or for any command that is run in it.
    environment
        The whole environment that it runs in; may hold the secret.
    words
        What is told before an interactive session: how to begin, and what its user may do.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    words: str = ""


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

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return how a person talks to an instance that is up.

        Parameters
        ----------
        endpoint
            Where it is reached, with its secret.
        directory
            A directory that we alone can enter, for files that the client needs; it
            stays as long as the instance.

        Raises
        ------
        SystemUnavailable
            If the client is not installed; the message says what to install.
        Unsupported
            If the recipe knows no client.
        """
        raise Unsupported(
            f"{cls.__name__} names no client; log in by one of your own: "
            f"{endpoint.host}:{endpoint.port}, user {endpoint.user}"
        )

    @classmethod
    def replicated(cls, workspace: Path, *, variant: str, durability: str, replicas: int) -> Server:
        """Return a system of several members on loopback, each with a copy of everything.

        What is acknowledged at the durability ``fsync`` is on stable storage of all members,
        where the product can do that; docs/replicas.md says where it can't.

        Parameters
        ----------
        replicas
            Physical copies, the first included: 2 or more.

        Raises
        ------
        Unsupported
            If the recipe knows no replication, or not so many.
        """
        raise Unsupported(f"{cls.__name__} brings up one instance, without replication")

    def members(self) -> tuple[Member, ...]:
        """Return the members, the one that the endpoint leads to first; none if not replicated."""
        return ()

    @classmethod  # noqa: B027 - most products leave nothing
    def sweep(cls) -> None:
        """Remove what instances that were killed left in places that all share, as ``/dev/shm``.

        Nothing of an instance that lives is touched.
        """

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

    def restart(self, while_down: Callable[[], None] = lambda: None) -> Endpoint:
        """Shut down in order and start again: the same data, address and credentials.

        A recipe whose ``start`` would choose another port sees to it that it does not here.

        Parameters
        ----------
        while_down
            Called when nothing of the instance runs.

        Raises
        ------
        SystemUnavailable
            If it does not come up again.
        Unsupported
            If it is not ours to restart.
        """
        self.stop()
        while_down()
        return self.start()

    @abstractmethod
    def processes(self) -> tuple[int, ...]:
        """Return the ids of the processes that do the work now (this one for embedded engines)."""

    def ended(self) -> str | None:
        """Return how the instance ended though nobody stopped it, or None.

        None too where that can't be told: for a server that is not ours, and for an
        embedded engine, which ends with this process.
        """
        return None
