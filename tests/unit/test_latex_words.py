"""What a paper's files are written with: escaped text, numerals, tables, and names of macros."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deduplab.analysis.row import Row
from deduplab.report.latex.escape import as_comment, escape
from deduplab.report.latex.macros import definitions, macro_name, macros
from deduplab.report.latex.numerals import interval, numeral, typeset
from deduplab.report.latex.tabular import Block, Column, Tabular, figure_column

ETA = Row(
    run="r", system="sqlite", variant="default", payload="random_binary", layout="blob",
    grade_asked="U90", grade_achieved=0.9, distance="shuffled", placement="within",
    rate_per_s=None, clients=1, replicas=1, stage="bulk", moment="rest", mode=None, layer="FILES",
    ruler="allocated", metric="dedup_efficiency", value=0.974, ci_low=-0.0061, ci_high=0.981, n=6,
    unit="ratio", outcome="OK", reason="",
)  # fmt: skip
GONE = dataclasses.replace(
    ETA, value=None, ci_low=None, ci_high=None, n=0, outcome="INVALID", reason="100 % of a_b & c."
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"),
        ("90 %", r"90 \%"),
        ("{x}[y]", r"\{x\}{[}y{]}"),
        ("--scale", "-{-}scale"),
        ("---", "-{-}{-}"),
        ("\\end", r"\textbackslash{}end"),
        ("two\nlines\t here", "two lines here"),
        ("12 µs – 3×", r"12 \ensuremath{\mu}s \textendash{} 3\ensuremath{\times}"),
        ("Zürich, garçon", r"Z\"{u}rich{,} gar\c{c}on"),
        ("数据\x00", "{[}U+6570{]}{[}U+636E{]}{[}U+0000{]}"),
    ],
)
def test_text_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


@given(st.text())
def test_whatever_text_holds_it_is_ascii_and_opens_what_it_closes(text: str) -> None:
    found = escape(text)
    assert found.isascii()
    assert found.isprintable()
    bare = re.sub(r"\\[{}]", "", found.replace("\\textbackslash", ""))
    depth = 0
    for sign in bare:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"(?<!\\)[%&#$_]", bare)


@given(st.text())
def test_a_comment_stays_on_its_line(text: str) -> None:
    found = as_comment(text)
    assert found.isascii()
    assert len(found.splitlines()) <= 1


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.974, "ratio", "0.97"),
        (-0.001, "ratio", "0.00"),
        (1234567, "ns", "1235"),
        (999.6, "ns", "1.00"),
        (9999, "ns", "10.0"),
        (12.345e6, "byte/s", "12.3"),
        (99.96, "object/s", "100"),
        (0, "s", "0"),
        (0.000123456, "s", "0.000123"),
        (1.29e-9, "s", "0.000000"),
        (-0.5, "byte/byte", "-0.50"),
    ],
)
def test_numerals_are_plain_digits_in_one_unit(value: float, unit: str, expected: str) -> None:
    assert numeral(value, unit) == expected


def test_numerals_in_tables_have_thin_spaces_and_a_true_minus() -> None:
    assert typeset("1234") == "1234"
    assert typeset("1234567.5") == r"1\,234\,567.5"
    assert typeset("-0.50") == "$-$0.50"
    assert interval(ETA) == r"{[}$-$0.01, 0.98{]}"
    assert interval(GONE) == interval(None) == ""


def test_a_table_tells_every_reason_once_and_hides_none() -> None:
    columns = (Column("moment"), figure_column("$u$"), figure_column("$c$"))
    remarked = dataclasses.replace(ETA, reason="1 cell left out: x")
    lines = (("rest", ETA, GONE), ("flush", GONE, None), ("reclaim", remarked, remarked))
    text = Tabular(columns, (Block("a_b", lines),)).to_tex()
    assert "rest & 0.97 & {[}$-$0.01, 0.98{]} & -- & \\textsuperscript{a} \\\\" in text
    assert "flush & -- & \\textsuperscript{a} & -- & \\textsuperscript{b} \\\\" in text
    assert text.count("0.97 & {[}$-$0.01, 0.98{]}\\textsuperscript{c}") == 2
    assert text.count(r"100 \% of a\_b \& c.") == 1
    assert "{b}\\,not in the plan." in text
    assert r"\multicolumn{5}{@{}l@{}}{\textbf{a\_b}}" in text


def test_tables_are_split_into_pages_at_blocks_and_lose_no_line() -> None:
    columns = (Column("line"),)
    blocks = tuple(
        Block(f"block {number}", tuple((f"line {number} {line}",) for line in range(7)))
        for number in range(9)
    )
    long = Block("long", tuple((f"long {line}",) for line in range(100)))
    parts = Tabular(columns, (*blocks, long)).parts()
    assert [len(part.blocks) for part in parts[:2]] == [5, 4]
    told = [line for part in parts for block in part.blocks for line in block.lines]
    assert told == [line for block in (*blocks, long) for line in block.lines]
    assert all(sum(block.height(columns) for block in part.blocks) <= 42 for part in parts)
    assert Tabular(columns, ()).parts() == []


def test_names_of_macros_are_made_of_what_a_figure_belongs_to() -> None:
    assert macro_name(ETA) == "dlSqliteRandomBinaryUNineZeroShuffledBulkRestEta"
    other = dataclasses.replace(
        ETA, variant="zstd-19 on btrfs", layout="native", placement="across", rate_per_s=500.0,
        clients=4, grade_asked="U0", distance="none", stage="reclaim", moment="reclaim",
        mode="vacuum-full", metric="reclaimed",
    )  # fmt: skip
    assert macro_name(other) == (
        "dlSqliteZstdOneNineOnBtrfsRandomBinaryNativeAcrossAtFiveZeroZeroSByFourClients"
        "UZeroReclaimReclaimVacuumFullReclaimed"
    )


def test_macros_give_value_interval_and_n_or_why_there_is_none() -> None:
    lines = list(definitions([("dlA", ETA), ("dlB", GONE)]))
    assert lines == [
        r"\newcommand{\dlA}{0.97}",
        r"\newcommand{\dlALow}{-0.01}",
        r"\newcommand{\dlAHigh}{0.98}",
        r"\newcommand{\dlAN}{6}",
        r"\newcommand{\dlB}{\dlMissing}",
        r"\newcommand{\dlBWhy}{100 \% of a\_b \& c.}",
    ]
    once = dataclasses.replace(ETA, ci_low=None, ci_high=None, n=1, reason="few")
    assert r"\newcommand{\dlALow}{\dlMissing}" in list(definitions([("dlA", once)]))
    assert r"\newcommand{\dlARemark}{few}" in list(definitions([("dlA", once)]))


def test_names_that_would_be_the_same_are_told_apart() -> None:
    twin = dataclasses.replace(ETA, payload="random-binary")
    apparent = dataclasses.replace(ETA, ruler="apparent", value=0.5)
    named = macros([ETA, twin, apparent])
    first = "dlSqliteRandomBinaryUNineZeroShuffledBulkRestEta"
    assert named == [(first, ETA), (f"{first}Two", twin)]
