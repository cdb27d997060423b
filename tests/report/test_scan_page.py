from __future__ import annotations

import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deduplab.bound.account import Account, FilesOnDisk
from deduplab.bound.grains import ALL_GRAINS
from deduplab.bound.planted import PlantedCopies
from deduplab.bound.scan import ScanSettings, scan
from deduplab.bound.sources.catalogue import open_source
from deduplab.bound.stream import LeftOut
from deduplab.errors import StoreError
from deduplab.report import scan_page

_VOID = {"meta", "br", "img", "path", "use", "rect", "line", "circle"}


class _Balance(HTMLParser):
    """Fails on an element that is closed in the wrong place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = random.Random(3)
    found = tmp_path / "data"
    found.mkdir()
    payloads = [generator.randbytes(30_000) for _ in range(6)]
    for number, payload in enumerate([*payloads, *payloads[:3]]):
        (found / f"{number}").write_bytes(payload)
    return found


def account_of(path: Path, sample: float | None = None, **more: object) -> Account:
    sketch = scan(open_source(str(path)), ScanSettings(sample=sample))
    return Account(sketch, sketch.result(), **more)  # type: ignore[arg-type]


def check(page: str) -> None:
    balance = _Balance()
    balance.feed(page)
    assert balance.open == []
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", page)
    assert "<script" not in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_page_stands_alone_and_has_every_grain(folder: Path) -> None:
    page = scan_page.render(account_of(folder, command="deduplab scan data", duration_s=1.0))
    check(page)
    for name in ALL_GRAINS:
        assert name in page
    assert page.count("<svg") == 3
    assert "1.50×" in page
    assert "deduplab scan data" in page
    assert "could not be read" not in page


def test_a_sample_shows_its_intervals(folder: Path) -> None:
    page = scan_page.render(account_of(folder, sample=0.25))
    check(page)
    assert "95 % interval" in page


class _Cells(HTMLParser):
    """Counts the cells of each row of the first table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        self._tables = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tables += tag == "table"
        if self._tables == 1 and tag == "tr":
            self.rows.append(0)
        elif self._tables == 1 and tag in ("th", "td"):
            self.rows[-1] += 1


def test_a_grain_without_a_chunk_in_the_sample_leaves_every_figure_in_its_column(
    folder: Path,
) -> None:
    account = account_of(folder)
    whole, *others = account.result.grains
    result = account.result._replace(grains=[whole._replace(compression=[]), *others])
    page = scan_page.render(replace(account, result=result))
    check(page)
    cells = _Cells()
    cells.feed(page)
    assert len(cells.rows) == 1 + len(ALL_GRAINS)
    assert len(set(cells.rows)) == 1
    assert '<th class="num">lz4</th>' in page
    assert "no chunk is in that sample" in page
    assert "no chunk is in that sample" not in scan_page.render(account)


def test_what_was_left_out_is_on_top(folder: Path) -> None:
    account = account_of(folder)
    left_out = [LeftOut("<b>x</b>", "can't be read: Permission denied")]
    page = scan_page.render(replace(account, result=account.result._replace(left_out=left_out)))
    check(page)
    assert page.index("1 thing could not be read") < page.index("<svg")
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_columns_and_orders_have_tables(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,kind\n" + "".join(f"{n},{'abc'[n % 3]}\n" for n in range(300)))
    account = account_of(table)
    page = scan_page.render(
        Account(account.sketch, account.result, orders={"natural": account.result})
    )
    check(page)
    assert "all columns" in page
    assert "The order of rows" in page
    assert "100×" in page


def test_files_on_the_disk_with_their_copies(folder: Path) -> None:
    planted = PlantedCopies(5, 0.5, 10, 7, [(0, 1), (1, 1), (2, 3)], [(2, 5)], 0, 2, 1)
    page = scan_page.render(
        account_of(folder, on_disk=FilesOnDisk(str(folder), 4096, 8192, planted))
    )
    check(page)
    assert "1 with 0, 1 with 1, 3 with 2" in page
    assert "a sample of 0.5" in page


def test_nothing_at_all_is_a_page_too(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    check(scan_page.render(account_of(empty)))


def test_a_page_that_cannot_be_written(folder: Path) -> None:
    with pytest.raises(StoreError, match="can't be written"):
        scan_page.write(account_of(folder), folder / "no" / "page.html")
