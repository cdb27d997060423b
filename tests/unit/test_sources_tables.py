"""Table files: rows and columns as streams, orders, pages; broken files are said."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import sqlite3
import struct
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deduplab.bound.scan import ScanSettings, scan
from deduplab.bound.sources import open_source
from deduplab.bound.sources.table import row_bytes
from deduplab.errors import DatasetError, PlanError
from tests.unit.bound_scans import switched_off
from tests.unit.sources_reading import objects_of, reasons, rows_of

ROWS = 5000
NUMBERS = [None if number % 7 == 0 else number for number in range(ROWS)]
WORDS = [None if number % 11 == 0 else f"word {number % 13}" for number in range(ROWS)]


def _number(value: int | None) -> bytes:
    return b"" if value is None else struct.pack("<q", value)


def _expected_rows() -> list[bytes]:
    return [
        row_bytes(
            [None if number is None else _number(number), None if word is None else word.encode()]
        )
        for number, word in zip(NUMBERS, WORDS, strict=True)
    ]


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"number": NUMBERS, "word": WORDS}), path, row_group_size=700)
    return path


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "table.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE first (number INTEGER, word TEXT)")
        connection.execute("CREATE TABLE second (value BLOB, real REAL)")
        connection.executemany("INSERT INTO first VALUES (?, ?)", zip(NUMBERS, WORDS, strict=True))
        connection.execute("INSERT INTO second VALUES (x'00ff', 1.5)")
        connection.commit()
    return path


@pytest.fixture
def duck(tmp_path: Path) -> Path:
    path = tmp_path / "table.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE first (number BIGINT, word VARCHAR)")
        table = pa.table({"number": NUMBERS, "word": WORDS})
        connection.register("given", table)
        connection.execute("INSERT INTO first SELECT * FROM given")
        connection.execute("CREATE TABLE second AS SELECT 1.5::DOUBLE AS real")
    return path


def test_parquet_rows_and_columns(parquet: Path) -> None:
    source = open_source(str(parquet))
    assert objects_of(source) == {
        "": _expected_rows(),
        "number": [_number(number) for number in NUMBERS],
        "word": [(word or "").encode() for word in WORDS],
    }
    assert source.left_out == []
    assert objects_of(pickle.loads(pickle.dumps(source)))[""] == _expected_rows()


def test_every_engine_gives_the_same_rows(sqlite: Path, duck: Path, parquet: Path) -> None:
    for source in (
        open_source(str(sqlite), table="first"),
        open_source(str(duck), table="first"),
        open_source(str(parquet)),
    ):
        assert rows_of(source) == _expected_rows(), source.name


def test_chosen_columns(parquet: Path, sqlite: Path) -> None:
    words = [(word or "").encode() for word in WORDS]
    for source in (
        open_source(str(parquet), columns=["word"]),
        open_source(str(sqlite), table="first", columns=["word"]),
    ):
        found = objects_of(source)
        assert set(found) == {"", "word"}
        assert found["word"] == words
    assert set(objects_of(open_source(str(parquet), columns=()))) == {""}
    with pytest.raises(PlanError, match="did you mean 'word'"):
        rows_of(open_source(str(parquet), columns=["wrod"]))


@pytest.mark.parametrize("kind", ["parquet", "sqlite", "duck"])
def test_orders_keep_the_rows_and_change_their_places(
    kind: str, request: pytest.FixtureRequest
) -> None:
    path = str(request.getfixturevalue(kind))
    table = None if kind == "parquet" else "first"
    expected = _expected_rows()
    shuffled = rows_of(open_source(path, table=table, order="shuffled"))
    assert shuffled != expected
    assert sorted(shuffled) == sorted(expected)
    by_word = objects_of(open_source(path, table=table, order="sorted:word"))
    assert sorted(by_word[""]) == sorted(expected)
    changes = sum(a != b for a, b in pairwise(by_word["word"]))
    assert changes == 13, "12 words and NULL stand together each" if changes else ""
    by_number = objects_of(open_source(path, table=table, columns=["word"], order="sorted:number"))
    assert set(by_number) == {"", "word"}
    with pytest.raises(PlanError, match="unknown order 'random'"):
        open_source(path, order="random")
    with pytest.raises(PlanError, match="unknown column"):
        rows_of(open_source(path, table=table, order="sorted:none"))


def test_pages_are_runs_of_whole_values(parquet: Path) -> None:
    values = objects_of(open_source(str(parquet)))
    pages = objects_of(open_source(str(parquet), column_pages=1000))
    assert pages[""] == values[""], "rows are no pages"
    for column in ("number", "word"):
        assert b"".join(pages[column]) == b"".join(values[column])
        lengths = [len(page) for page in pages[column]]
        assert all(1000 <= length < 1010 for length in lengths[:-1])
        assert 0 < lengths[-1] < 1010
    ends = {0}
    for value in values["word"]:
        ends.add(max(ends) + len(value))
    position = 0
    for page in pages["word"]:
        position += len(page)
        assert position in ends


def test_nested_and_other_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "list": [[1, 2], None, []],
            "texts": [["x", "yy"], [None], None],
            "struct": [{"a": 1, "b": "x"}, None, {"a": None, "b": None}],
            "flag": [True, None, False],
            "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int32())),
            "nothing": pa.nulls(3),
            "words": pa.array(["q", "r", "q"]).dictionary_encode(),
            "time": pa.array([1, None, 3], pa.timestamp("us")),
            "fixed": pa.array([b"abc", None, b"xyz"], pa.binary(3)),
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    source = open_source(str(path))
    found = objects_of(source)
    assert source.left_out == []
    one, two = _number(1), _number(2)
    assert found["list"] == [one + two, b"", b""]
    assert found["texts"] == [row_bytes([b"x", b"yy"]), row_bytes([None]), b""]
    assert found["struct"] == [row_bytes([one, b"x"]), b"", row_bytes([None, None])]
    assert found["flag"] == [b"\x01", b"", b"\x00"]
    assert found["map"] == [row_bytes([row_bytes([b"k", struct.pack("<i", 1)])]), b"", b""]
    assert found["nothing"] == [b""] * 3
    assert found["words"] == [b"q", b"r", b"q"]
    assert found["time"] == [one, b"", _number(3)]
    assert found["fixed"] == [b"abc", b"", b"xyz"]
    assert len(found[""]) == len(set(found[""])) == 3


def test_a_list_has_the_same_bytes_beside_a_list_with_null(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    lists = [[1, 2], [1, 2], None, [], [1, None], [1, 2]]
    table = {
        "list": pa.array(lists, pa.list_(pa.int16())),
        "fixed": pa.array(
            [[1, 2], [None, 2], None, [1, 2], [3, 4], [1, 2]], pa.list_(pa.int16(), 2)
        ),
    }
    pq.write_table(pa.table(table), path, row_group_size=4)
    found = objects_of(open_source(str(path)))
    plain, null = struct.pack("<hh", 1, 2), struct.pack(">i", -1)
    one, two = (struct.pack(">i", 2) + struct.pack("<h", number) for number in (1, 2))
    assert found["list"] == [plain, plain, b"", b"", one + null, plain]
    assert found["fixed"] == [plain, null + two, b"", plain, struct.pack("<hh", 3, 4), plain]


def test_columns_without_a_name_are_no_rows_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "names.parquet"
    number = pa.array([1, 1, 2], pa.int8())
    pq.write_table(pa.table([number, number], names=["", "b"]), path)
    found = objects_of(open_source(str(path)))
    assert found['""'] == found["b"] == [b"\1", b"\1", b"\2"]
    assert len(found[""]) == 3
    database = tmp_path / "names.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute('CREATE TABLE t ("" BLOB)')
        connection.execute("INSERT INTO t VALUES (x'01')")
        connection.commit()
    assert objects_of(open_source(str(database))) == {"": [row_bytes([b"\1"])], '""': [b"\1"]}
    pq.write_table(pa.table([number, number, number], names=["a", "a", "b"]), path)
    with pytest.raises(DatasetError, match="2 columns are named 'a'"):
        rows_of(open_source(str(path)))
    assert len(rows_of(open_source(str(path), columns=["b"]))) == 3


def test_a_parquet_page_that_does_not_fit_its_checksum_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "summed.parquet"
    given = pa.table({"number": pa.array(range(1000), pa.int64())})
    pq.write_table(
        given,
        path,
        row_group_size=500,
        use_dictionary=False,
        compression="none",
        write_page_checksum=True,
    )
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<q", 700))
    data[at] ^= 1
    path.write_bytes(data)
    source = open_source(str(path))
    assert len(rows_of(source)) == 500
    assert "500 of its 500 rows are not counted" in reasons(source)


def test_a_truncated_parquet_counts_nothing(parquet: Path) -> None:
    os.truncate(parquet, parquet.stat().st_size - 10)
    with pytest.raises(DatasetError, match="truncated, broken or no Parquet file"):
        rows_of(open_source(str(parquet)))


def test_a_parquet_with_a_damaged_row_group_says_how_many_rows_are_lost(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"n": list(range(40_000))})
    pq.write_table(table, path, row_group_size=10_000, compression="zstd", use_dictionary=False)
    offset = pq.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 2000] = bytes(2000)
    path.write_bytes(data)
    source = open_source(str(path))
    found = rows_of(source)
    kept = [n for n in range(40_000) if n // 10_000 != 2]
    assert found == [row_bytes([_number(n)]) for n in kept]
    assert "row group 2: broken" in reasons(source)
    assert "10000 of its 10000 rows are not counted" in reasons(source)


def test_csv_by_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfa,"b ""c""",a\n1,"x,\ny",\xff\n,"",3\n')
    source = open_source(str(path))
    assert objects_of(source) == {
        "": [row_bytes([b"1", b"x,\ny", b"\xff"]), row_bytes([b"", b"", b"3"])],
        "a": [b"1", b""],
        'b "c"': [b"x,\ny", b""],
        "a 3": [b"\xff", b"3"],
    }
    assert source.left_out == []


def test_tabs_part_the_fields_of_tsv(tmp_path: Path) -> None:
    folder = tmp_path / "all.tsv.d"
    folder.mkdir()
    for name, delimiter in (("a.csv", ","), ("A.TSV", "\t"), ("a.tsv.gz", "\t")):
        content = f"a{delimiter}b\n1{delimiter}2\n".encode()
        packed = gzip.compress(content) if name.endswith("gz") else content
        (folder / name).write_bytes(packed)
        assert set(objects_of(open_source(str(folder / name)))) == {"", "a", "b"}, name


def test_csv_in_other_orders(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n % 3) for n in range(999)))
    natural = objects_of(open_source(str(path)))
    shuffled = objects_of(open_source(str(path), order="shuffled"))
    assert shuffled["a"] != natural["a"]
    assert sorted(shuffled["a"]) == sorted(natural["a"])
    ordered = objects_of(open_source(str(path), order="sorted:b", columns=["a"]))
    assert ordered["a"] == [b"%d" % n for rest in range(3) for n in range(rest, 999, 3)]


def test_csv_with_uneven_rows_says_how_many_are_lost(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n1\t2\n3\n4\t5\t6\n7\t8\n"))
    source = open_source(str(path))
    assert objects_of(source)["a"] == [b"1", b"7"]
    said = "rows with another number of fields than the first line (2) are not counted: 2 (the"
    assert said in reasons(source)


def test_csv_with_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    path.write_bytes(b'a,b\n0,"0"\n1,"x\n2,y\n3,z\n')
    source = open_source(str(path))
    assert objects_of(source)["b"] == [b"0"]
    assert "row 2 opens a quote that is never closed; its 11 bytes" in reasons(source)
    path.write_bytes(b'a,b\n0,"0"\n1,"x\n2"')
    source = open_source(str(path))
    assert objects_of(source)["b"] == [b"0", b"x\n2"]
    assert source.left_out == []
    path.write_bytes(b'a,"b\n0,0\n')
    with pytest.raises(DatasetError, match="a quote that is never closed in its first line"):
        rows_of(open_source(str(path)))


def test_marks_of_encodings(tmp_path: Path) -> None:
    table = tmp_path / "marked.csv"
    table.write_bytes(b'\xef\xbb\xbf"a,b",c\n1,2\n')
    assert set(objects_of(open_source(str(table)))) == {"", "a,b", "c"}
    for encoding in ("utf-16", "utf-16-le"):
        table.write_bytes("a,b\n1,2\n".encode(encoding))
        with pytest.raises(DatasetError, match="UTF-16"):
            rows_of(open_source(str(table)))
    lines = tmp_path / "marked.jsonl"
    lines.write_bytes(b'\xef\xbb\xbf{"a":1}\n{"a":2}\n')
    source = open_source(str(lines))
    assert objects_of(source) == {"": [b'{"a":1}', b'{"a":2}'], "a": [b"1", b"2"]}
    assert source.left_out == []


def test_csv_that_is_cut_or_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    rows = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(100_000))
    whole = gzip.compress(rows)
    path.write_bytes(whole[: len(whole) // 2])
    source = open_source(str(path))
    found = rows_of(source)
    assert len(found) < 100_000
    assert f"the {len(found)} rows before are counted" in reasons(source)
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(DatasetError, match="no line that names its columns"):
        rows_of(open_source(str(tmp_path / "empty.csv")))
    (tmp_path / "head.csv").write_bytes(b"a,b\n")
    assert objects_of(open_source(str(tmp_path / "head.csv"))) == {}


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    lines = [b'{"a": 1, "b": [1,  2]}', b'{"a":1.0,"":"x"}', b"[1]", b'"text"']
    path.write_bytes(gzip.compress(b"\r\n".join([*lines, b"", b"{broken", b'{"a": 2}'])))
    source = open_source(str(path))
    assert objects_of(source) == {
        "": [*lines, b'{"a": 2}'],
        "a": [b"1", b"1.0", b"2"],
        "b": [b"[1,  2]"],
        '""': [b'"x"'],
    }
    assert "1 lines are not JSON and are not counted (the first is line 6" in reasons(source)
    assert set(objects_of(open_source(str(path), columns=["b"]))) == {"", "b"}


def test_json_lines_without_the_key_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":2}\n')
    assert set(objects_of(open_source(str(path), columns=["b"], order="sorted:a"))) == {"", "b"}
    for options in ({"columns": ["c", "a"]}, {"order": "sorted:c"}):
        with pytest.raises(PlanError, match="no line has the key 'c'"):
            rows_of(open_source(str(path), **options))
    path.write_bytes(b"")
    assert rows_of(open_source(str(path), columns=["c"])) == []


def test_json_lines_in_other_orders(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson"
    lines = [json.dumps({"key": number % 5, "n": number}).encode() for number in range(1000)]
    path.write_bytes(b"\n".join(lines))
    shuffled = rows_of(open_source(str(path), order="shuffled"))
    assert shuffled != lines
    assert sorted(shuffled) == sorted(lines)
    ordered = objects_of(open_source(str(path), order="sorted:key", column_pages="1 KiB"))
    assert sorted(ordered[""]) == sorted(lines)
    assert b"".join(ordered["key"]) == b"".join(b"%d" % key * 200 for key in range(5))


def test_json_lines_with_too_many_keys(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(f'{{"key{number}": 1}}' for number in range(1500)))
    source = open_source(str(path))
    found = objects_of(source)
    assert len(found[""]) == 1500
    assert len(found) == 1001
    assert "500 keys are counted in the rows, but not as columns" in reasons(source)


def test_all_tables_of_a_file(sqlite: Path, duck: Path) -> None:
    found = objects_of(open_source(str(sqlite)))
    assert set(found) == {"", "first.number", "first.word", "second.value", "second.real"}
    assert found["second.value"] == [b"\x00\xff"]
    assert found["second.real"] == [struct.pack("<d", 1.5)]
    assert len(found[""]) == ROWS + 1
    found = objects_of(open_source(str(duck)))
    assert set(found) == {"", "first.number", "first.word", "second.real"}
    assert len(found[""]) == ROWS + 1


def test_names_with_dots(tmp_path: Path) -> None:
    path = tmp_path / "dots.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute('CREATE TABLE "a.b" AS SELECT 1 AS x')
        connection.execute("CREATE SCHEMA other")
        connection.execute('CREATE TABLE other."c.d" AS SELECT 2 AS "y.z"')
        connection.execute('CREATE VIEW other.seen AS SELECT 3 AS "x"')
    source = open_source(str(path))
    assert set(objects_of(source)) == {"", "a.b.x", "other.c.d.y.z"}
    assert source.left_out == []
    assert len(rows_of(open_source(str(path), table="other.seen"))) == 1


def test_queries_and_unknown_tables(sqlite: Path, duck: Path) -> None:
    for path in (sqlite, duck):
        query = "SELECT word, count(*) AS times FROM first GROUP BY word;"
        assert len(objects_of(open_source(str(path), query=query))["times"]) == 14
        with pytest.raises(PlanError, match="did you mean 'first'"):
            rows_of(open_source(str(path), table="frist"))
        with pytest.raises(DatasetError, match="nothing of it is counted"):
            rows_of(open_source(str(path), query="SELECT * FROM nowhere"))
        with pytest.raises(PlanError, match="not both"):
            open_source(str(path), query=query, table="first")


def test_views_can_be_named(sqlite: Path) -> None:
    with closing(sqlite3.connect(sqlite)) as connection:
        connection.execute("CREATE VIEW some AS SELECT number FROM first LIMIT 3")
        connection.commit()
    assert len(rows_of(open_source(str(sqlite), table="some"))) == 3
    assert "some.number" not in objects_of(open_source(str(sqlite)))


@pytest.mark.parametrize("kind", ["sqlite", "duck"])
def test_a_database_file_is_not_changed_and_gets_no_neighbours(
    kind: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(kind)
    if kind == "sqlite":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = wal")
    before, state, names = path.read_bytes(), path.stat(), sorted(path.parent.iterdir())
    blocks = open_source(str(path), order="sorted:word", table="first").blocks()
    next(blocks)
    assert sorted(path.parent.iterdir()) == names
    list(blocks)
    assert sorted(path.parent.iterdir()) == names
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns) == (state.st_mtime_ns, state.st_ctime_ns)
    assert path.read_bytes() == before


def test_a_query_can_t_write(sqlite: Path, duck: Path, tmp_path: Path) -> None:
    for path, query in (
        (sqlite, "DELETE FROM first RETURNING number"),
        (duck, "DELETE FROM first RETURNING number"),
        (duck, f"SELECT * FROM read_text('{tmp_path}/*')"),
    ):
        with pytest.raises(DatasetError, match="can't be read"):
            rows_of(open_source(str(path), query=query))


def test_a_sqlite_file_in_use_is_refused_not_misread(sqlite: Path) -> None:
    with closing(sqlite3.connect(sqlite)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("INSERT INTO second VALUES (x'01', 2)")
        connection.commit()
        names = sorted(sqlite.parent.iterdir())
        with pytest.raises(DatasetError, match=r"write-ahead log of .* scan a copy of both"):
            rows_of(open_source(str(sqlite)))
        assert sorted(sqlite.parent.iterdir()) == names
    assert len(rows_of(open_source(str(sqlite), table="second"))) == 2


def test_a_sqlite_file_that_is_written_to_is_said(sqlite: Path) -> None:
    source = open_source(str(sqlite))
    blocks = source.blocks()
    next(blocks)
    with closing(sqlite3.connect(sqlite)) as connection:
        connection.execute("INSERT INTO second VALUES (x'01', 2)")
        connection.commit()
    list(blocks)
    assert "changed while it was read" in reasons(source)


def test_a_damaged_sqlite_file_says_what_is_lost(sqlite: Path) -> None:
    data = bytearray(sqlite.read_bytes())
    for page in range(6, len(data) // 4096 - 2):
        data[page * 4096 : page * 4096 + 16] = b"\xff" * 16
    sqlite.write_bytes(data)
    source = open_source(str(sqlite))
    found = objects_of(source)
    assert 0 < len(found["first.number"]) < ROWS
    assert f"the {len(found['first.number'])} rows before are counted" in reasons(source)
    assert len(found["second.value"]) == 1


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, head in (("a.duckdb", b"12345678DUCK"), ("a.sqlite", b"SQLite format 3\0")):
        path = tmp_path / name
        path.write_bytes(head + b"x" * 20_000)
        with pytest.raises(DatasetError):
            rows_of(open_source(str(path)))
    path = tmp_path / "a.parquet"
    path.write_bytes(b"text")
    with pytest.raises(DatasetError, match="no Parquet file"):
        rows_of(open_source(str(path)))


def test_quotes_that_do_not_end_swallow_nothing(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b'a,b\n1,"x\ny"\n2,"open\n3,z\n4,z\n')
    source = open_source(str(table))
    assert objects_of(source)["b"] == [b"x\ny"]
    assert "row 2 opens a quote that is never closed" in reasons(source)
    for whole in (b'a,b\n1,"x"\n', b"a,b\n1,x", b'a\n"x"'):
        table.write_bytes(whole)
        source = open_source(str(table))
        assert len(rows_of(source)) == 1
        assert not source.left_out


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(PlanError, match="'a' is named twice"):
        open_source(str(tmp_path / "t.csv"), columns=["a", "b", "a"])


@pytest.mark.parametrize("delimiter", ["", ";;", "\n", '"', "é", "→"])
def test_a_delimiter_is_one_character(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "t.csv").write_bytes(b"a;b\n1;2\n")
    with pytest.raises(PlanError, match="separates no fields"):
        open_source(str(tmp_path / "t.csv"), delimiter=delimiter)


def test_a_tab_is_written_as_on_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\tb\n1\t2\n")
    assert objects_of(open_source(str(tmp_path / "t.csv"), delimiter=r"\t"))["b"] == [b"2"]


@pytest.mark.parametrize("name", ["t.parquet", "t.duckdb"])
def test_long_values_are_cut_without_the_part_in_c_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = pa.table({"v": [b"long" * 1000, b"short", None, b"", b"long" * 1000]})
    if name.endswith("parquet"):
        pq.write_table(table, path)
    else:
        with duckdb.connect(path) as database:
            database.execute('CREATE TABLE t AS SELECT * FROM "table"')
    with switched_off():
        found = scan(open_source(str(path)), ScanSettings(["whole", "cdc-4096"])).result()
    (column,) = (stream for stream_name, stream in found.streams.items() if stream_name)
    assert column.objects == 5
    assert [grain.unique_bytes for grain in column.grains] == [4005, 4005]
