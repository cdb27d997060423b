"""A file of sinks: one table for each, in TOML. Where events go is no part of a plan.

The same plan is run on a laptop without any and in a cluster with some, and gives the same cells.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from deduplab.errors import PlanError, unknown_name
from deduplab.remote_table import secret_reference
from deduplab.server import Secret
from deduplab.sinks.json_lines import JsonLinesSettings
from deduplab.sinks.kafka import MECHANISMS, KafkaSettings
from deduplab.sinks.outside import Outside
from deduplab.sinks.prometheus import PrometheusSettings
from deduplab.sinks.pushgateway import PushgatewaySettings
from deduplab.sinks.sink import Sink
from deduplab.toml_table import Table, choice, integer, seconds, string

_INTERVAL_S: Final = 15.0
_MOST_PORT: Final = 65_535


class Settings(Protocol):
    """The settings of one sink."""

    def sink(self) -> Sink:
        """Return the sink, which is to be opened."""
        ...


def load(path: Path) -> tuple[Settings, ...]:
    """Read a file of sinks, with the secrets that it refers to.

    Raises
    ------
    PlanError
        With file and line where it is wrong.
    """
    return parse(text_of(path), str(path), Outside())


def text_of(path: Path) -> str:
    """Return what a file of sinks holds.

    Raises
    ------
    PlanError
        If it can't be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PlanError(f"the file of sinks {path} can't be read: {error}") from error


def parse(text: str, origin: str, outside: Outside) -> tuple[Settings, ...]:
    """Read the text of a file of sinks; what it refers to is a matter of ``outside``.

    Raises
    ------
    PlanError
        With file and line where it is wrong.
    """
    try:
        values = tomllib.loads(text)
    except ValueError as error:
        raise PlanError(f"the file of sinks {origin} can't be read: {error}") from error
    table = Table(values, (), text, origin)
    found = []
    for name in table.names():
        if name not in _KINDS:
            raise table.error(name, unknown_name("sink", name, tuple(_KINDS)))
        own = table.table(name)
        found.append(_KINDS[name](own, outside))
        own.finish()
    if not found:
        raise PlanError(f"{origin}: no sink is named; there are: {', '.join(_KINDS)}")
    return tuple(found)


def _json_lines(table: Table, outside: Outside) -> Settings:
    return JsonLinesSettings(path=Path(table.take("path", string)))


def _kafka(table: Table, outside: Outside) -> Settings:
    user, secret = _login(table, outside)
    tls = table.take("tls", choice("way of TLS", ("verify", "off")), default="verify")
    ssl_ca = table.take("ssl_ca", lambda value: outside.authorities(string(value)), default=None)
    if ssl_ca is not None and tls == "off":
        raise table.error("ssl_ca", "'ssl_ca' is of no use with tls = \"off\": leave one out")
    return KafkaSettings(
        address=table.take("address", _addresses),
        topic=table.take("topic", string),
        user=user,
        secret=secret,
        mechanism=table.take("mechanism", choice("mechanism", MECHANISMS), default=MECHANISMS[0]),
        tls=tls,
        ssl_ca=ssl_ca,
        partitions=table.take("partitions", integer(1), default=None),
    )


def _prometheus(table: Table, outside: Outside) -> Settings:
    host, port = table.take("listen", host_and_port)
    return PrometheusSettings(host, port)


def _pushgateway(table: Table, outside: Outside) -> Settings:
    user, secret = _login(table, outside)
    return PushgatewaySettings(
        url=table.take("url", _url),
        interval_s=table.take("interval_s", seconds, default=_INTERVAL_S),
        user=user,
        secret=secret,
    )


_KINDS: Final[dict[str, Callable[[Table, Outside], Settings]]] = {
    "json_lines": _json_lines,
    "kafka": _kafka,
    "prometheus": _prometheus,
    "pushgateway": _pushgateway,
}


def _login(table: Table, outside: Outside) -> tuple[str | None, Secret | None]:
    """Take a user and the reference to a secret: both or none."""
    user = table.take("user", string, default=None)
    secret = table.take(
        "secret", lambda value: outside.secret(secret_reference(value)), default=None
    )
    if (user is None) != (secret is None):
        given, missing = ("user", "secret") if secret is None else ("secret", "user")
        raise table.error(given, f"{given!r} needs {missing!r} beside it")
    return user, secret


def host_and_port(value: Any) -> tuple[str, int]:
    """Return host and port of an address, and refuse what is none."""
    host, _, port = string(value).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _MOST_PORT:
        raise PlanError(f"must be HOST:PORT, as '127.0.0.1:9464', not {value!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _addresses(value: Any) -> str:
    for one in string(value).split(","):
        host_and_port(one.strip())
    return string(value)


def _url(value: Any) -> str:
    parts = urlsplit(string(value))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PlanError(f"must be a URL, as 'http://127.0.0.1:9091', not {value!r}")
    if parts.username or parts.password:
        raise PlanError("must not hold a login: give 'user' and 'secret' beside it")
    return string(value)
