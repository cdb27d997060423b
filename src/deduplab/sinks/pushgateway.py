"""The sink that pushes the present state of a run to a Pushgateway, for Prometheus to scrape there.

Each push replaces what the run pushed before (PUT; group: job ``deduplab``, instance: the run).
What is of the moment is left out of the last one: a gateway keeps it until somebody deletes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deduplab.errors import SystemUnavailable
from deduplab.optional_module import optional_module
from deduplab.server import Secret
from deduplab.sinks.message import Message
from deduplab.sinks.metrics import Metrics
from deduplab.sinks.sink import Sink

_JOB: Final = "deduplab"
_ANSWER_S: Final = 5.0

_Handler = Callable[..., Callable[[], None]]


@dataclass(frozen=True, slots=True)
class PushgatewaySettings:
    """Where it is, how often it gets something, and a login for what stands before it."""

    url: str
    interval_s: float
    user: str | None = None
    secret: Secret | None = field(default=None, repr=False)

    def sink(self) -> Sink:
        """Return the sink."""
        return Pushgateway(self)


class Pushgateway(Sink):
    """Pushes now and then, and once more at the end; a push that failed is made up by the next."""

    name = "pushgateway"

    def __init__(self, settings: PushgatewaySettings) -> None:
        super().__init__()
        self._settings = settings
        self._metrics = Metrics()
        self._registry: Any = None
        self._library: Any = None
        self._run = ""
        self._pushes = self._failed = 0
        self._due = 0.0

    def open(self) -> None:
        """Ask whether it is there (``/-/ready``), and prove the login."""
        self._library = optional_module("prometheus_client", "prometheus", "pushgateway")
        self._registry = self._library.CollectorRegistry()
        self._registry.register(self._metrics)
        url = f"{self._settings.url.rstrip('/')}/-/ready"
        try:
            self._handler()(url=url, method="GET", timeout=_ANSWER_S, headers=[], data=b"")()
        except (OSError, ValueError) as error:
            raise SystemUnavailable(f"pushgateway: {url} does not answer: {error}") from error

    def _send(self, messages: Sequence[Message]) -> None:
        """Keep what they say, and push it if that is due."""
        for message in messages:
            self._metrics.take(message)
            self._run = message["run"]
        self._got_rid_of(len(messages))
        if self._run and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._settings.interval_s
            self._push(_ANSWER_S)

    def close(self, deadline_s: float) -> None:
        """Push once more."""
        if self._run:
            self._push(max(0.1, min(_ANSWER_S, deadline_s)))

    def sent(self) -> str:
        """Return how many pushes were taken."""
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._pushes} pushes{failed}"

    def _push(self, timeout_s: float) -> None:
        try:
            self._library.push_to_gateway(
                self._settings.url,
                job=_JOB,
                registry=self._registry,
                grouping_key={"instance": self._run},
                timeout=timeout_s,
                handler=self._handler(),
            )
            self._pushes += 1
        except OSError as error:
            self._failed += 1
            self.reason = f"a push to {self._settings.url} failed: {error}"

    def _handler(self) -> _Handler:
        """Return what sends a request of the library, with the login where there is one."""
        settings = self._settings
        exposition: Any = optional_module(
            "prometheus_client.exposition", "prometheus", "pushgateway"
        )
        if settings.user is None or settings.secret is None:
            handler: _Handler = exposition.default_handler
            return handler
        user, secret = settings.user, settings.secret

        def with_login(**request: Any) -> Callable[[], None]:
            login = {"username": user, "password": secret.reveal()}
            send: Callable[[], None] = exposition.basic_auth_handler(**request, **login)
            return send

        return with_login
