import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets.corpora.github_events import GithubEvents
from deduplab.errors import DatasetError
from tests.unit.real_data import real_files, written

MEMBERS = ("actor", "created_at", "id", "org", "payload", "public", "repo", "type")
ARCHIVED = {
    "id": "2489651045",
    "type": "CreateEvent",
    "actor": {"id": 665991, "login": 'x"id":"y', "url": "https://api.github.com/users/é"},
    "repo": {"name": "x/y", "id": 28688495},
    "payload": {"ref": "master", "size": 1.5, "description": None},
    "public": True,
    "created_at": "2015-01-01T15:00:00Z",
    "more": 1,
}


def events(source: Path, vary: bool = False) -> GithubEvents:
    spec = DatasetSpec(
        "github_events",
        1 << 30,
        4096,
        0,
        "none",
        source=str(source),
        sizes=SizeSpec("natural"),
        vary=vary,
    )
    return GithubEvents(spec)


def canonical(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def test_events_are_those_of_the_source() -> None:
    source = real_files("github_events")[0]
    payloads = events(source)
    expected: dict[bytes, None] = {}
    for line in source.read_text("utf-8").splitlines():
        event = json.loads(line)
        expected[canonical({name: event.get(name) for name in MEMBERS})] = None
    assert written(payloads, range(payloads.found)) == list(expected)


def test_an_hour_of_the_archive(tmp_path: Path) -> None:
    other = {**ARCHIVED, "id": "2489651046", "org": {"id": 1}}
    lines = [json.dumps(ARCHIVED), "", json.dumps(ARCHIVED, indent=None), json.dumps(other)]
    path = tmp_path / "2015-01-01-15.json.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    payloads = events(path)
    assert payloads.found == 2
    expected = {name: ARCHIVED.get(name) for name in MEMBERS}
    expected["created_at"] = "2015-01-01T15:00:00.000000Z"
    content = written(payloads, [0])[0]
    assert content == canonical(expected)
    names = [field.name for field in payloads.record_type.fields]
    record = dict(zip(names, payloads.record_type.parse(content), strict=True))
    assert record["created_at"] == 1_420_124_400_000_000
    assert record["org"] is None
    assert record["public"] is True
    assert json.loads(str(record["payload"])) == ARCHIVED["payload"]


def test_a_variation_differs_in_its_id_alone(tmp_path: Path) -> None:
    path = tmp_path / "hour.json"
    lines = [json.dumps({**ARCHIVED, "id": str(number)}) for number in (7, 123456789)]
    path.write_text("\n".join(lines))
    first, second, varied, varied_too, again = written(events(path, vary=True), range(5))
    ids = [json.loads(one)["id"] for one in (varied, varied_too, again)]
    assert ids == [
        "7-edit1.000000000001",
        "123456789-edit1.000000000002",
        "7-edit1.000000000003",
    ]
    assert canonical({**json.loads(varied), "id": "7"}) == first
    assert canonical({**json.loads(varied_too), "id": "123456789"}) == second
    assert canonical(json.loads(again)) == again


def test_events_that_not_every_system_holds_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    held = {**ARCHIVED, "payload": {"text": "a\0b"}}
    path.write_text(f"{json.dumps(held)}\n{json.dumps(ARCHIVED)}\n")
    assert events(path).found == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 is no event"),
        ('{"id": "1", "type": "x"}', "line 2 is no event"),
        ('{"id": "1", "type": "x", "payload": {}, "created_at": "now"}', "line 2 has no moment"),
        ('{"id": "\\ud800", "type": "x", "payload": {}}', "line 2 is not JSON"),
        ("[" * 100_000, "line 2 is not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{json.dumps(ARCHIVED)}\n{line}\n")
    with pytest.raises(DatasetError, match=rf"events\.jsonl', {message}"):
        events(path)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hour.json.gz"
    whole = gzip.compress(f"{json.dumps(ARCHIVED)}\n".encode() * 100)
    path.write_bytes(whole[:-20])
    with pytest.raises(DatasetError, match=r"hour\.json\.gz' can't be read"):
        events(path)
    path.write_bytes(b"no gzip")
    with pytest.raises(DatasetError, match=r"hour\.json\.gz' can't be read"):
        events(path)
