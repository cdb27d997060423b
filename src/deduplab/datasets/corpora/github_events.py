"""The family ``github_events``: events of GitHub, one JSON object each, in canonical form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.corpora.json_lines import NUL, bad_line, decoded, numbered_lines
from deduplab.datasets.real_payloads import RealPayloads
from deduplab.datasets.record_types import (
    canonical_json,
    json_record,
    timestamp_of,
    timestamp_text,
)
from deduplab.datasets.source_files import SourceFile, opened, regular_files
from deduplab.record import Field, FieldType

_FIELDS: Final = (
    Field("id", FieldType.TEXT),
    Field("type", FieldType.TEXT),
    Field("created_at", FieldType.TIMESTAMP, nullable=True),
    Field("public", FieldType.BOOLEAN, nullable=True),
    Field("actor", FieldType.JSON, nullable=True),
    Field("repo", FieldType.JSON, nullable=True),
    Field("org", FieldType.JSON, nullable=True),
    Field("payload", FieldType.JSON),
)
_VARIED: Final = "-edit"
_DIGITS: Final = 12


class GithubEvents(RealPayloads):
    """Payload ``id`` is the id-th distinct event of the source, whatever its length.

    An event is a line of JSON lines (``.jsonl``, ``.json``, also ``.gz``): an hour of GH Archive
    (2015 and later), or webhook examples, which have an id, a type and a
    payload only; members that are missing are null, members of other names are
    left out, and so are events that hold a NUL character, which many systems refuse.
    A variation has the id of its event, with ``-edit``, the dataset's seed and its number behind.
    """

    record_type = json_record("github_events", _FIELDS)

    def __init__(self, spec: DatasetSpec) -> None:
        self._growth_bytes = len(_suffix(spec.seed, 0)) if spec.vary else 0
        super().__init__(spec)

    def _index(self) -> None:
        for source in self._sources:
            for path in regular_files(source):
                with opened(path) as descriptor:
                    file = SourceFile.of(path, descriptor)
                    for event, id_end in _events(path):
                        self._offer_data(event, id_end)
                        if self._enough:
                            return
                    file.check_again()

    def _edit(
        self,
        objects: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        out: memoryview,
    ) -> None:
        """Put the number of each variation behind its event's id."""
        places = (starts + self._gaps_of(objects)).tolist()
        for number, place in zip(numbers.tolist(), places, strict=True):
            out[place : place + self._growth_bytes] = _suffix(self.spec.seed, number)

    def _nothing(self) -> str:
        return "has no event, a JSON object with an id, a type and a payload a line"


def _suffix(seed: int, number: int) -> bytes:
    return f"{_VARIED}{seed}.{number:0{_DIGITS}d}".encode()


def _events(path: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each event, and where in it the text of its id ends."""
    names = [field.name for field in _FIELDS]
    for number, line in numbered_lines(path):
        found = decoded(path, number, line)
        if not isinstance(found, dict) or not {"id", "type", "payload"} <= found.keys():
            raise bad_line(path, number, "is no event with an id, a type and a payload")
        if NUL in line or _VARIED in str(found["id"]):
            continue
        event = {name: found.get(name) for name in names}
        event["id"], event["type"] = str(event["id"]), str(event["type"])
        if event["created_at"] is not None:
            try:
                event["created_at"] = timestamp_text(timestamp_of(str(event["created_at"])))
            except (TypeError, ValueError) as error:
                raise bad_line(path, number, f"has no moment in created_at ({error})") from error
        # In canonical form an event begins with these three members, in this order.
        head = canonical_json({name: event[name] for name in ("actor", "created_at", "id")})
        yield canonical_json(event), len(head) - len(b'"}')
