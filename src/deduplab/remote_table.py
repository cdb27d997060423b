"""The table ``[systems.NAME.remote]`` of a plan: where a server runs already, as its keys say."""

from __future__ import annotations

import re
from typing import Any, Final

from deduplab import registry
from deduplab.errors import PlanError
from deduplab.model import RemoteAddress
from deduplab.toml_table import Table, choice, integer, string

REMOTE_USER: Final = "deduplab"
"""Who logs in where the table names nobody: the user of ``deduplab systems grants``."""

_MOST_PORT: Final = 65_535


def remote_address(own: Table, system: str) -> RemoteAddress | None:
    """Take the table ``remote`` of a system's own table; None where there is none.

    Beside the keys of every address, a system knows those that its adapter
    declares (``Adapter.remote_options``).

    Raises
    ------
    PlanError
        With file, line, and the nearest valid name.
    """
    if "remote" not in own.names():
        return None
    entry = registry.system(system)
    if not entry.takes_address:
        raise own.error("remote", f"{system} is no server: it can't be remote")
    table = own.table("remote")
    known = entry.adapter_class().remote_options
    given = {name: table.take(name, string, default=None) for name in known}
    address = RemoteAddress(
        host=table.take("host", string),
        port=table.take("port", _port),
        user=table.take("user", string, default=REMOTE_USER),
        database=table.take("database", string, default=None),
        secret=table.take("secret", _secret_reference, default=None),
        tls=table.take("tls", choice("way of TLS", ("verify", "off")), default="verify"),
        ssl_ca=table.take("ssl_ca", string, default=None),
        options=tuple((name, value) for name, value in sorted(given.items()) if value is not None),
    )
    if address.tls == "off" and address.ssl_ca is not None:
        raise table.error("ssl_ca", "'ssl_ca' is of no use with tls = \"off\": leave one out")
    table.finish()
    return address


def _port(value: Any) -> int:
    port = integer(1)(value)
    if port > _MOST_PORT:
        raise PlanError(f"must be a port, at most {_MOST_PORT}, not {value!r}")
    return port


def _secret_reference(value: Any) -> str:
    text = string(value)
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", text):
        raise PlanError("a secret is given by reference: 'env:NAME' or 'file:PATH', never itself")
    return text
