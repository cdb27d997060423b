"""The table ``[systems.NAME.remote]`` of a plan: where a server runs already, as its keys say."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from deduplab import registry
from deduplab.cell import RemoteAddress
from deduplab.errors import PlanError
from deduplab.server import Endpoint
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
        secret=table.take("secret", secret_reference, default=None),
        tls=table.take("tls", choice("way of TLS", ("verify", "off")), default="verify"),
        ssl_ca=table.take("ssl_ca", string, default=None),
        options=tuple((name, value) for name, value in sorted(given.items()) if value is not None),
    )
    if address.tls == "off" and address.ssl_ca is not None:
        raise table.error("ssl_ca", "'ssl_ca' is of no use with tls = \"off\": leave one out")
    table.finish()
    return address


def written(system: str, endpoint: Endpoint) -> str:
    """Return the table by which a plan reaches an endpoint, as TOML.

    The secret is written by its reference, so it must have one. Without a file of
    authorities to trust the server is taken for one that is spoken to plainly.
    """
    assert endpoint.secret is not None
    authority = endpoint.options.get("ssl_ca")
    known = registry.system(system).adapter_class().remote_options
    keys: dict[str, str | int | None] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "database": endpoint.database,
        "secret": endpoint.secret.source,
        "tls": "verify" if authority else "off",
        "ssl_ca": authority,
        **{name: value for name, value in endpoint.options.items() if name in known},
    }
    # A string of JSON is one of TOML.
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
    return "\n".join([f"[systems.{system}.remote]", *lines, ""])


def _port(value: Any) -> int:
    port = integer(1)(value)
    if port > _MOST_PORT:
        raise PlanError(f"must be a port, at most {_MOST_PORT}, not {value!r}")
    return port


def secret_reference(value: Any) -> str:
    """Return a reference to a secret as it is, and refuse what may be one itself."""
    text = string(value)
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", text):
        raise PlanError("a secret is given by reference: 'env:NAME' or 'file:PATH', never itself")
    return text
