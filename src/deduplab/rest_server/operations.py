"""The operations of the contract, by method and path; what each takes and answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from deduplab import __version__
from deduplab.rest_server.bulk_body import MEDIA_TYPE, objects_of
from deduplab.rest_server.catalogue import Catalogue
from deduplab.rest_server.content_store import (
    MAINTENANCE,
    SYNCHRONOUS,
    VARIANTS,
    ContentStore,
    Settings,
)
from deduplab.rest_server.problem import Problem, malformed

CONTRACT: Final = "1.0"
PRODUCT: Final = "deduplab-rest-server"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read whole and allowed."""

    method: str
    path: str
    query: Mapping[str, str]
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a JSON document, or bytes with their media type (none: no body)."""

    status: int
    document: object = None
    content: bytes = b""
    media_type: str = "application/json"


@dataclass(slots=True)
class Service:
    """The operations over a catalogue; counts what is under way."""

    catalogue: Catalogue
    counters: dict[str, int] = field(default_factory=lambda: {"requests": 0, "stored_objects": 0})
    maintaining: int = 0

    def answer(self, request: Request) -> Answer:
        """Do what a request asks for.

        Raises
        ------
        Problem
            If it is refused, or there is no such operation.
        """
        self.counters["requests"] += 1
        allowed: list[str] = []
        for method, pattern, operation in _OPERATIONS:
            found = pattern.fullmatch(request.path)
            if found is None:
                continue
            if method == request.method:
                return operation(self, request, *found.groups())
            allowed.append(method)
        if allowed:
            raise Problem(405, "no-method", f"this path has {', '.join(allowed)} only")
        raise Problem(404, "no-path", "there is no such path in the contract")

    def health(self, request: Request) -> Answer:
        """Tell product, version, instance, and what is offered."""
        return Answer(
            200,
            {
                "contract": CONTRACT,
                "product": PRODUCT,
                "version": __version__,
                "instance": self.catalogue.instance,
                "configuration": {"identity": "blake3", "storage": "sqlite, write-ahead log"},
                "offers": {
                    "variants": list(VARIANTS),
                    "durability": list(SYNCHRONOUS),
                    "maintenance": list(MAINTENANCE),
                },
            },
        )

    def create(self, request: Request, name: str) -> Answer:
        """Create a database with its marker."""
        given = _object_in(request)
        unknown = set(given) - set(Settings.__slots__)
        if unknown or not all(isinstance(value, str) for value in given.values()):
            raise malformed("the settings are texts named marker, variant, durability, ..")
        if "marker" not in given:
            raise malformed("a database needs a marker")
        return Answer(201, self.catalogue.create(name, Settings(**given)).document())

    def describe(self, request: Request, name: str) -> Answer:
        """Tell a database's settings, its marker among them."""
        store = self.catalogue.get(name)
        with store.lock:
            return Answer(200, store.read_settings().document())

    def drop(self, request: Request, name: str) -> Answer:
        """Drop a database that bears the marker in the query."""
        self.catalogue.drop(name, _query(request, "marker"))
        return Answer(204)

    def put(self, request: Request, name: str) -> Answer:
        """Store one object."""
        self._store(self.catalogue.get(name), [(_query(request, "key"), request.body)])
        return Answer(201, media_type="")

    def put_many(self, request: Request, name: str) -> Answer:
        """Store many objects, all or none."""
        store = self.catalogue.get(name)
        if request.media_type != MEDIA_TYPE:
            raise Problem(415, "media-type", f"objects in bulk are of type {MEDIA_TYPE}")
        return Answer(201, {"stored": self._store(store, objects_of(request.body))})

    def get(self, request: Request, name: str) -> Answer:
        """Return one object's payload."""
        store, key = self.catalogue.get(name), _query(request, "key")
        payload = store.get(key)
        if payload is None:
            raise Problem(404, "no-object", f"there is no object {key!r}")
        return Answer(200, content=payload, media_type=store.settings.content_type)

    def delete(self, request: Request, name: str) -> Answer:
        """Delete the objects of a list of keys."""
        keys = _object_in(request).get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise malformed('the body is {"keys": [text, ..]}')
        return Answer(200, {"deleted": self.catalogue.get(name).delete(keys)})

    def truncate(self, request: Request, name: str) -> Answer:
        """Delete all objects."""
        self.catalogue.get(name).truncate()
        return Answer(204)

    def count(self, request: Request, name: str) -> Answer:
        """Count the objects."""
        return Answer(200, {"objects": self.catalogue.get(name).count()})

    def flush(self, request: Request, name: str) -> Answer:
        """Persist everything acknowledged."""
        self.catalogue.get(name).flush()
        return Answer(204)

    def maintain(self, request: Request, name: str) -> Answer:
        """Run maintenance, and answer when it is done."""
        store, mode = self.catalogue.get(name), _object_in(request).get("mode")
        if not isinstance(mode, str):
            raise malformed('the body is {"mode": text}')
        self.maintaining += 1
        try:
            store.maintain(mode)
        finally:
            self.maintaining -= 1
        return Answer(204)

    def stats(self, request: Request, name: str) -> Answer:
        """Tell a database's bytes by component."""
        components = self.catalogue.get(name).component_bytes()
        return Answer(
            200, {"bytes": components, "total": sum(components.values()), "at_unix_ns": _now_ns()}
        )

    def activity(self, request: Request, name: str) -> Answer:
        """Tell what is under way, and cheap counters."""
        self.catalogue.get(name)
        return Answer(
            200, {"busy": {"maintenance": self.maintaining}, "counters": dict(self.counters)}
        )

    def _store(self, store: ContentStore, objects: list[tuple[str, bytes]]) -> int:
        stored = store.put(objects)
        self.counters["stored_objects"] += stored
        return stored


def _now_ns() -> int:
    return time.time_ns()


def _query(request: Request, name: str) -> str:
    value = request.query.get(name)
    if not value:
        raise malformed(f"the query needs {name}=.., not empty")
    return value


def _object_in(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(request.body)
    except ValueError as error:
        raise malformed(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise malformed("the body is not a JSON object")
    return document


_Operation: TypeAlias = Callable[..., Answer]
_DATABASE: Final = "/v1/databases/([^/]+)"
_OPERATIONS: Final[tuple[tuple[str, re.Pattern[str], _Operation], ...]] = tuple(
    (method, re.compile(pattern), operation)
    for method, pattern, operation in (
        ("PUT", f"{_DATABASE}/object", Service.put),
        ("GET", f"{_DATABASE}/object", Service.get),
        ("POST", f"{_DATABASE}/objects", Service.put_many),
        ("POST", f"{_DATABASE}/objects/delete", Service.delete),
        ("GET", f"{_DATABASE}/activity", Service.activity),
        ("GET", f"{_DATABASE}/stats", Service.stats),
        ("GET", f"{_DATABASE}/count", Service.count),
        ("POST", f"{_DATABASE}/flush", Service.flush),
        ("POST", f"{_DATABASE}/maintain", Service.maintain),
        ("POST", f"{_DATABASE}/truncate", Service.truncate),
        ("PUT", _DATABASE, Service.create),
        ("GET", _DATABASE, Service.describe),
        ("DELETE", _DATABASE, Service.drop),
        ("GET", "/v1/health", Service.health),
    )
)
