"""The sink that Prometheus scrapes: an HTTP endpoint with the present state of a run.

The text format is that of the library ``prometheus_client``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deduplab.errors import SystemUnavailable
from deduplab.optional_module import optional_module
from deduplab.sinks.message import Message
from deduplab.sinks.metrics import Metrics
from deduplab.sinks.sink import Sink


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """Where it listens."""

    host: str
    port: int

    def sink(self) -> Sink:
        """Return the sink."""
        return Prometheus(self)


class Prometheus(Sink):
    """Answers at ``/metrics`` as long as the run goes on."""

    name = "prometheus"

    def __init__(self, settings: PrometheusSettings) -> None:
        super().__init__()
        self._address = settings.host, settings.port
        self._metrics = Metrics()
        self._server: Any = None

    def open(self) -> None:
        """Listen."""
        library: Any = optional_module("prometheus_client", "prometheus", "prometheus")
        registry = library.CollectorRegistry()
        registry.register(self._metrics)
        host, port = self._address
        try:
            self._server, _ = library.start_http_server(port, host, registry)
        except OSError as error:
            where = f"{host}:{port}"
            raise SystemUnavailable(f"prometheus: can't listen on {where}: {error}") from error

    def _send(self, messages: Sequence[Message]) -> None:
        """Keep what they say for the next who asks."""
        for message in messages:
            self._metrics.take(message)
        self._got_rid_of(len(messages))

    def close(self, deadline_s: float) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def sent(self) -> str:
        """Return where it was to be had."""
        return "shown at {}:{}".format(*self._address)
