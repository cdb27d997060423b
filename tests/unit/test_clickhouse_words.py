"""ClickHouse without its engine: the error table, literals, answers, components."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from deduplab.adapters._clickhouse_remote import structure_of
from deduplab.adapters._clickhouse_rows import row_of
from deduplab.adapters._clickhouse_words import quoted, translated
from deduplab.adapters._layout import Layout
from deduplab.adapters.clickhouse import ClickhouseAdapter
from deduplab.errors import (
    DiskSpaceError,
    NamespaceRefused,
    OperationFailed,
    SystemUnavailable,
    Unsupported,
)
from deduplab.server import Endpoint
from deduplab.servers.clickhouse import ClickhouseServer
from deduplab.testing import SAMPLE_RECORDS


@pytest.mark.parametrize("code", [209, 210, 236, 425])
def test_an_engine_that_is_going_down_may_be_tried_again(code: int) -> None:
    error = translated(RuntimeError(f"Code: {code}. DB::Exception: words. (NAME)"))
    assert isinstance(error, SystemUnavailable)


@pytest.mark.parametrize("code", [33, 60, 241, 2099])
def test_every_other_refusal_fails_in_the_engines_words(code: int) -> None:
    error = translated(RuntimeError(f"Code: {code}. DB::Exception: no\nspace left. (NAME)"))
    assert isinstance(error, OperationFailed)
    assert f"Code: {code}. DB::Exception: no space left" in str(error)


def test_a_message_that_quotes_binary_data_keeps_its_words() -> None:
    raw = b"Code: 6. DB::Exception: Cannot parse '\xc7\x00'"
    error = translated(UnicodeDecodeError("utf-8", raw, 39, 40, "invalid continuation byte"))
    assert isinstance(error, OperationFailed)
    assert "Code: 6. DB::Exception: Cannot parse" in str(error)


def test_literals_are_escaped() -> None:
    assert quoted("plain") == "'plain'"
    assert quoted("it's a \\") == "'it\\'s a \\\\'"


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 300_000])
def test_one_string_of_row_binary(length: int) -> None:
    payload = b"\x80" * length
    prefix = bytearray()
    rest = length
    while rest > 127:
        prefix.append(rest & 127 | 128)
        rest >>= 7
    prefix.append(rest)
    assert row_of(bytes(prefix) + payload, Layout()) == (payload,)


def test_no_row_is_no_object() -> None:
    assert row_of(b"", Layout()) is None


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("store/c46/c46959df/all_1_5_3/data.bin", "data"),
        ("store/c46/c46959df/all_1_5_3/payload.bin", "data"),
        ("store/c46/c46959df/all_1_5_3/data.cmrk4", "index"),
        ("store/c46/c46959df/all_1_5_3/payload.mrk2", "index"),
        ("store/c46/c46959df/all_1_5_3/primary.cidx", "index"),
        ("store/c46/c46959df/all_1_5_3/checksums.txt", "metadata"),
        ("store/c46/c46959df/mutation_6.txt", "metadata"),
        ("store/c46/c46959df/tmp_insert_all_1_1_0/data.bin", "temporary"),
        ("metadata/name.sql", "metadata"),
        ("tmp/something", "temporary"),
    ],
)
def test_components_of_files(path: str, component: str) -> None:
    found = next(
        name for glob, name in ClickhouseAdapter.file_components if fnmatchcase(path, glob)
    )
    assert found == component


@pytest.mark.parametrize("setting", ["layout", "variant", "durability"])
def test_unknown_settings_are_refused_before_anything_runs(setting: str) -> None:
    settings = {"layout": "blob", "variant": "mergetree", "durability": "fsync"}
    settings[setting] = "nothing-like-it"
    with pytest.raises(Unsupported, match="nothing-like-it"):
        ClickhouseAdapter().create(
            "namespace",
            layout=settings["layout"],
            variant=settings["variant"],
            durability=settings["durability"],
        )


def test_a_name_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(NamespaceRefused):
        ClickhouseAdapter().create("a`b", layout="blob", variant="mergetree", durability="fsync")


def test_it_needs_a_directory_or_an_address() -> None:
    with pytest.raises(SystemUnavailable, match="a data directory or a server's address"):
        ClickhouseAdapter().open(Endpoint())


def test_a_full_disk_is_told_as_such() -> None:
    error = translated(RuntimeError("Code: 243. DB::Exception: Cannot reserve 1.00 MiB. (NAME)"))
    assert isinstance(error, DiskSpaceError)


def test_a_missing_right_names_the_statements_that_give_it() -> None:
    error = translated(RuntimeError("Code: 497. DB::Exception: lab: Not enough privileges."))
    assert isinstance(error, OperationFailed)
    assert "deduplab systems grants clickhouse" in str(error)


def test_what_is_sent_to_a_server_has_its_columns() -> None:
    sent = structure_of(Layout.of("clickhouse", "native", SAMPLE_RECORDS))
    assert sent.startswith("key String, ")
    assert "UUID" not in sent
    assert structure_of(Layout()) == "key String, `payload` String"


def test_rights_are_statements_of_clickhouse_and_end_at_the_labs_databases() -> None:
    text = ClickhouseServer.grants("somebody", "lab")
    statements = [line for line in text.splitlines() if not line.startswith("--")]
    chdb = pytest.importorskip("chdb")
    for statement in statements:
        assert chdb.query(f"EXPLAIN AST {statement}", "TSV").data()
    assert "BY '<password>'" in statements[0]
    writing = [line for line in statements if "INSERT" in line or "DROP" in line]
    assert all("ON `lab`*.* TO `somebody`" in line for line in writing)
