"""Framing, arrays and the error table of the PostgreSQL family."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from deduplab.adapters._pg_binary import copy_chunks, text_array
from deduplab.adapters._pgwire import translated
from deduplab.adapters.postgresql import PostgresqlAdapter
from deduplab.batch import Batch
from deduplab.errors import NamespaceRefused, OperationFailed, SystemUnavailable
from deduplab.server import Endpoint, Secret


def _batch(payloads: list[bytes], *, lead: bytes = b"") -> Batch:
    """Make a batch whose payloads begin after ``lead`` bytes of the buffer."""
    bounds = np.cumsum([len(lead), *map(len, payloads)], dtype=np.int64)
    keys = [f"k{'x' * (index % 3)}{index}" for index in range(len(payloads))]
    return Batch(keys, memoryview(lead + b"".join(payloads)), bounds)


def _rows(framed: bytes) -> list[tuple[str, bytes]]:
    """Read binary COPY as the documentation describes it."""
    assert framed[:11] == b"PGCOPY\n\xff\r\n\0"
    flags, extension_bytes = struct.unpack_from(">ii", framed, 11)
    assert (flags, extension_bytes) == (0, 0)
    position = 19
    rows: list[tuple[str, bytes]] = []
    while True:
        (fields,) = struct.unpack_from(">h", framed, position)
        position += 2
        if fields == -1:
            assert position == len(framed)
            return rows
        values = []
        for _ in range(fields):
            (length,) = struct.unpack_from(">i", framed, position)
            values.append(framed[position + 4 : position + 4 + length])
            position += 4 + length
        rows.append((values[0].decode(), values[1]))


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
def test_framing_is_read_back_by_the_documented_format(chunk_bytes: int) -> None:
    payloads = [b"", b"\0\xff", b"a" * 90, b"b" * 300, b"c"]
    batch = _batch(payloads, lead=b"not ours")
    framed = b"".join(copy_chunks(batch, chunk_bytes))
    assert _rows(framed) == list(zip(batch.keys, payloads, strict=True))


def test_framing_agrees_with_the_drivers_own_binary_formatter() -> None:
    from psycopg import _copy_base, adapt
    from psycopg.pq import Format

    payloads = [b"one", b"", b"three" * 40]
    batch = _batch(payloads)
    transformer = adapt.Transformer()
    transformer.set_dumper_types([25, 17], Format.BINARY)
    formatter = _copy_base.BinaryFormatter(transformer)
    expected = b"".join(formatter.write_row(row) for row in zip(batch.keys, payloads, strict=True))
    expected += formatter.end()
    assert b"".join(copy_chunks(batch)) == expected


def test_pieces_are_at_least_as_long_as_asked_and_end_at_rows() -> None:
    pieces = list(copy_chunks(_batch([b"x" * 40] * 10), 100))
    assert len(pieces) == 4
    assert all(len(piece) >= 100 for piece in pieces[:-1])


def test_text_array_of_the_binary_format() -> None:
    assert text_array(["a", "bc"]) == struct.pack(">iiiiii1si2s", 1, 0, 25, 2, 1, 1, b"a", 2, b"bc")
    assert text_array([]) == struct.pack(">iii", 0, 0, 25)


@pytest.mark.parametrize("sqlstate", ["08006", "53300", "57P01", "57P03"])
def test_a_server_that_is_going_down_may_be_tried_again(sqlstate: str) -> None:
    assert isinstance(translated(sqlstate, "words"), SystemUnavailable)


@pytest.mark.parametrize("sqlstate", ["23505", "53200", "57014", "42P01", "22021"])
def test_every_other_refusal_fails_in_the_servers_words(sqlstate: str) -> None:
    error = translated(sqlstate, "could not\nextend file")
    assert isinstance(error, OperationFailed)
    assert "could not extend file" in str(error)
    assert sqlstate in str(error)


def test_a_lost_connection_is_unavailable_whatever_was_said() -> None:
    assert isinstance(translated("23505", "words", connected=False), SystemUnavailable)
    assert isinstance(translated(None, "", connected=False), SystemUnavailable)


def test_nobody_answers_is_unavailable_and_does_not_show_the_password() -> None:
    adapter = PostgresqlAdapter()
    endpoint = Endpoint(host="127.0.0.1", port=1, user="x", secret=Secret("hush-hush"))
    with pytest.raises(SystemUnavailable) as caught:
        adapter.open(endpoint)
    assert "hush-hush" not in str(caught.value)
    adapter.close()


@pytest.mark.parametrize("namespace", ["ab", "Upper", "a;drop", 'a"b', "9abc"])
def test_names_that_are_not_allowed_reach_no_server(namespace: str) -> None:
    with pytest.raises(NamespaceRefused):
        PostgresqlAdapter().create(namespace, layout="blob", variant="default", durability="fsync")


def test_verbs_before_create_are_refused() -> None:
    with pytest.raises(OperationFailed, match="open"):
        PostgresqlAdapter().flush()
    with pytest.raises(OperationFailed, match="create"):
        PostgresqlAdapter().destroy()
