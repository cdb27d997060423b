"""The reference server answers as docs/rest-contract.yaml says, in every answer that it lists."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from deduplab.adapters._rest_bulk import BULK_TYPE
from deduplab.server import Endpoint
from deduplab.servers.rest import RestServer

DOCUMENT: Final = yaml.safe_load(
    (Path(__file__).parents[2] / "docs" / "rest-contract.yaml").read_text()
)
MARKER: Final = "ours"
DB: Final = "/v1/databases/there"
NO_DB: Final = "/v1/databases/nothing"
BAD_DB: Final = "/v1/databases/NO"


def bulk(*objects: tuple[bytes, bytes]) -> bytes:
    return b"".join(struct.pack(">HI", len(k), len(p)) + k + p for k, p in objects)


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


BULK: Final = {"Content-Type": BULK_TYPE.decode()}
SETTINGS: Final = as_json({"marker": MARKER})

# Operation, expected status and code, method, target, body, headers. In this order.
CASES: Final[list[tuple[str, int, str, str, str, bytes, dict[str, str]]]] = [
    ("health", 200, "", "GET", "/v1/health", b"", {}),
    ("createDatabase", 201, "", "PUT", DB, SETTINGS, {}),
    ("createDatabase", 409, "database-exists", "PUT", DB, SETTINGS, {}),
    ("createDatabase", 400, "malformed", "PUT", NO_DB, b"no json", {}),
    ("createDatabase", 400, "malformed", "PUT", NO_DB, b"[]", {}),
    ("createDatabase", 400, "malformed", "PUT", NO_DB, b"{}", {}),
    ("createDatabase", 400, "malformed", "PUT", NO_DB, as_json({"marker": ""}), {}),
    ("createDatabase", 400, "malformed", "PUT", NO_DB, as_json({"marker": "m", "size": "1"}), {}),
    ("createDatabase", 400, "malformed", "PUT", BAD_DB, SETTINGS, {}),
    ("createDatabase", 422, "not-offered", "PUT", NO_DB,
     as_json({"marker": MARKER, "durability": "eternal"}), {}),
    ("createDatabase", 422, "not-offered", "PUT", NO_DB,
     as_json({"marker": MARKER, "variant": "other"}), {}),
    ("describeDatabase", 200, "", "GET", DB, b"", {}),
    ("describeDatabase", 400, "malformed", "GET", BAD_DB, b"", {}),
    ("describeDatabase", 404, "no-database", "GET", NO_DB, b"", {}),
    ("putObject", 201, "", "PUT", f"{DB}/object?key=a%2Fb%20%C3%A4", b"payload", {}),
    ("putObject", 201, "", "PUT", f"{DB}/object?key=empty", b"", {}),
    ("putObject", 409, "object-exists", "PUT", f"{DB}/object?key=empty", b"other", {}),
    ("putObject", 400, "malformed", "PUT", f"{DB}/object?key=", b"payload", {}),
    ("putObject", 400, "malformed", "PUT", f"{DB}/object", b"payload", {}),
    ("putObject", 400, "malformed", "PUT", f"{DB}/object?key=%ff", b"payload", {}),
    ("putObject", 404, "no-database", "PUT", f"{NO_DB}/object?key=k", b"payload", {}),
    ("getObject", 200, "", "GET", f"{DB}/object?key=a%2Fb%20%C3%A4", b"", {}),
    ("getObject", 200, "", "GET", f"{DB}/object?key=empty", b"", {}),
    ("getObject", 400, "malformed", "GET", f"{DB}/object", b"", {}),
    ("getObject", 404, "no-object", "GET", f"{DB}/object?key=missing", b"", {}),
    ("getObject", 404, "no-database", "GET", f"{NO_DB}/object?key=k", b"", {}),
    ("putObjects", 201, "", "POST", f"{DB}/objects", bulk((b"x", b"1"), (b"y", b"1")), BULK),
    ("putObjects", 201, "", "POST", f"{DB}/objects", b"", BULK),
    ("putObjects", 409, "object-exists", "POST", f"{DB}/objects",
     bulk((b"z", b"1"), (b"x", b"2")), BULK),
    ("putObjects", 409, "object-exists", "POST", f"{DB}/objects",
     bulk((b"z", b"1"), (b"z", b"2")), BULK),
    ("putObjects", 400, "malformed", "POST", f"{DB}/objects", bulk((b"z", b"1"))[:-1], BULK),
    ("putObjects", 400, "malformed", "POST", f"{DB}/objects", b"\0\1\0", BULK),
    ("putObjects", 400, "malformed", "POST", f"{DB}/objects", bulk((b"", b"1")), BULK),
    ("putObjects", 400, "malformed", "POST", f"{DB}/objects", bulk((b"\xff", b"1")), BULK),
    ("putObjects", 404, "no-database", "POST", f"{NO_DB}/objects", b"", BULK),
    ("putObjects", 415, "media-type", "POST", f"{DB}/objects", bulk((b"z", b"1")), {}),
    ("deleteObjects", 200, "", "POST", f"{DB}/objects/delete",
     as_json({"keys": ["x", "x", "missing"]}), {}),
    ("deleteObjects", 400, "malformed", "POST", f"{DB}/objects/delete", b"{}", {}),
    ("deleteObjects", 400, "malformed", "POST", f"{DB}/objects/delete",
     as_json({"keys": [1]}), {}),
    ("deleteObjects", 404, "no-database", "POST", f"{NO_DB}/objects/delete",
     as_json({"keys": []}), {}),
    ("count", 200, "", "GET", f"{DB}/count", b"", {}),
    ("count", 404, "no-database", "GET", f"{NO_DB}/count", b"", {}),
    ("stats", 200, "", "GET", f"{DB}/stats", b"", {}),
    ("stats", 404, "no-database", "GET", f"{NO_DB}/stats", b"", {}),
    ("activity", 200, "", "GET", f"{DB}/activity", b"", {}),
    ("activity", 404, "no-database", "GET", f"{NO_DB}/activity", b"", {}),
    ("flush", 204, "", "POST", f"{DB}/flush", b"", {}),
    ("flush", 404, "no-database", "POST", f"{NO_DB}/flush", b"", {}),
    ("maintain", 204, "", "POST", f"{DB}/maintain", as_json({"mode": "compact"}), {}),
    ("maintain", 400, "malformed", "POST", f"{DB}/maintain", b"{}", {}),
    ("maintain", 404, "no-database", "POST", f"{NO_DB}/maintain", as_json({"mode": "compact"}), {}),
    ("maintain", 422, "not-offered", "POST", f"{DB}/maintain", as_json({"mode": "magic"}), {}),
    ("truncate", 204, "", "POST", f"{DB}/truncate", b"", {}),
    ("truncate", 404, "no-database", "POST", f"{NO_DB}/truncate", b"", {}),
    ("dropDatabase", 400, "malformed", "DELETE", DB, b"", {}),
    ("dropDatabase", 404, "no-database", "DELETE", f"{NO_DB}?marker=m", b"", {}),
    ("dropDatabase", 409, "marker-differs", "DELETE", f"{DB}?marker=theirs", b"", {}),
    ("dropDatabase", 204, "", "DELETE", f"{DB}?marker={MARKER}", b"", {}),
]  # fmt: skip


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    found = {}
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                found[operation["operationId"]] = (method.upper(), path, operation["responses"])
    return found


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target = DOCUMENT
        for word in node["$ref"].removeprefix("#/").split("/"):
            target = target[word]
        return resolved(target)
    return node


def check(operation: str, answer: http.client.HTTPResponse, content: bytes) -> None:
    """Hold one answer against what the document says of it."""
    responses = operations()[operation][2]
    told = resolved(responses.get(str(answer.status), responses["default"]))
    media = told.get("content", {})
    found = answer.headers.get("Content-Type", "")
    if not media:
        assert (content, found) == (b"", "")
        return
    if "*/*" in media:
        assert found
        return
    assert found in media
    schema = {"components": DOCUMENT["components"], **media[found]["schema"]}
    jsonschema.Draft202012Validator(schema).validate(json.loads(content))
    for name, header in told.get("headers", {}).items():
        assert answer.headers[name] == header["schema"]["const"]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    server = RestServer(tmp_path_factory.mktemp("rest"), variant="default", durability="fsync")
    try:
        yield server.start()
    finally:
        server.stop()


def send(
    endpoint: Endpoint,
    method: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    assert endpoint.secret is not None
    assert endpoint.host is not None
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=30)
    with closing(connection):
        shown = {"Authorization": f"Bearer {endpoint.secret.reveal()}"}
        connection.request(method, target, body=body, headers=shown | (headers or {}))
        answer = connection.getresponse()
        return answer, answer.read()


def test_the_document_is_sound() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for method, path, responses in operations().values():
        assert {"401", "default"} <= set(responses), (method, path)
        for response in responses.values():
            for media in resolved(response).get("content", {}).values():
                resolved(media.get("schema", {}))


def test_every_answer_that_is_listed_is_given(endpoint: Endpoint) -> None:
    """In order, since one request makes what the next one needs."""
    for operation, status, code, method, target, body, headers in CASES:
        answer, content = send(endpoint, method, target, body, headers)
        case = f"{operation} {method} {target} {body!r:.60}: {answer.status} {content!r:.200}"
        assert answer.status == status, case
        check(operation, answer, content)
        if code:
            told = json.loads(content)
            assert (told["status"], told["code"]) == (status, code), case
    listed = {
        (name, status)
        for name, (_, _, responses) in operations().items()
        for status in responses
        if status not in ("401", "default")
    }
    assert listed == {(operation, str(status)) for operation, status, *_ in CASES}


@pytest.mark.parametrize("operation", [*operations()])
@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Basic dTpw", "Bearer "])
def test_no_operation_is_done_without_the_token(
    endpoint: Endpoint, operation: str, shown: str | None
) -> None:
    method, path, _ = operations()[operation]
    assert endpoint.host is not None
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=30)
    with closing(connection):
        target = path.replace("{database}", "unseen")
        headers = {} if shown is None else {"Authorization": shown}
        connection.request(method, target, body=SETTINGS, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    assert answer.status == 401
    assert json.loads(content)["code"] == "no-token"
    check(operation, answer, content)
    assert send(endpoint, "GET", "/v1/databases/unseen")[0].status == 404


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("PATCH", "/v1/health", 405, "no-method"),
        ("GET", f"{DB}/flush", 405, "no-method"),
        ("GET", "/", 404, "no-path"),
        ("GET", "/v1/databases/a/b/c", 404, "no-path"),
        ("GET", "/v1/databases/..%2Fdata", 404, "no-path"),
    ],
)
def test_what_is_not_in_the_contract_is_refused(
    endpoint: Endpoint, method: str, target: str, status: int, code: str
) -> None:
    answer, content = send(endpoint, method, target)
    assert (answer.status, json.loads(content)["code"]) == (status, code)
