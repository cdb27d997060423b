"""One row of the registry: where a system's parts are found, imported late."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from deduplab.cache_folder import CACHE_VARIABLE
from deduplab.errors import SystemUnavailable

if TYPE_CHECKING:  # adapters need numpy, which takes longer to import than the registry all told
    from deduplab.adapter import Adapter, Capabilities
    from deduplab.server import Server


@dataclass(frozen=True, slots=True)
class SystemEntry:
    """Where a system's parts are found.

    ``kind`` is ``reference`` (known answer), ``embedded`` (in process) or
    ``server``. ``driver`` is the module that must be importable, ``extra`` the
    extra of deduplab that installs it; both empty where nothing is needed.
    ``preload`` are modules that a fork server may import beforehand: those of
    the driver that start no thread at import. ``installer`` is the function that
    obtains the product itself (it is told a function that shows progress, and
    returns a path), and ``source`` says where it takes it from; both empty where
    the driver's wheel is all. ``remote`` is true for an embedded system whose
    adapter also drives servers that run already. ``versions`` are the oldest and the
    newest version of the product that the adapter knows (see :mod:`deduplab.versions`);
    None for any.
    """

    name: str
    kind: str
    adapter: str
    server: str
    summary: str
    driver: str = ""
    extra: str = ""
    preload: tuple[str, ...] = ()
    installer: str = ""
    source: str = ""
    remote: bool = False
    versions: tuple[str, str] | None = None

    @property
    def takes_address(self) -> bool:
        """Whether a plan may give the address of a server that runs already."""
        return self.kind == "server" or self.remote

    def install(self, progress: Callable[[str], None]) -> Path:
        """Obtain the product's software; return where it is.

        Raises
        ------
        SystemUnavailable
            If it can't be had, or can't be kept where it belongs; the message says why.
        """
        install = cast("Callable[[Callable[[str], None]], Path]", _load(self.installer))
        try:
            return install(progress)
        except OSError as error:
            raise SystemUnavailable(
                f"it can't be kept: {error}; free some space, or name another folder by "
                f"{CACHE_VARIABLE}"
            ) from error

    def adapter_class(self) -> type[Adapter]:
        """Import and return the adapter's class (not its driver)."""
        return cast("type[Adapter]", _load(self.adapter))

    def server_class(self) -> type[Server]:
        """Import and return the server's class."""
        return cast("type[Server]", _load(self.server))

    def capabilities(self) -> Capabilities:
        """Return what the system offers, without its driver."""
        return self.adapter_class().capabilities

    def grants(self, user: str, namespace: str) -> str:
        """Return the rights that a user of the lab needs on a server that runs already.

        See :meth:`deduplab.server.Server.grants`; empty where nothing has to be granted.
        """
        return self.server_class().grants(user, namespace)


def _load(path: str) -> object:
    module_name, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module_name), attribute)
