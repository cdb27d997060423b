from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from deduplab.bound.grains import ALL_GRAINS
from deduplab.bound.known import EXACT_KNOWN_BYTES
from deduplab.bound.scan import ScanSettings, exact_memory_bytes
from deduplab.bound.sources.files import FileSource
from deduplab.bound.sources.raw import StandardInput
from deduplab.cli import scan_work
from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets import build_dataset, export
from deduplab.errors import DatasetError, PlanError
from deduplab.units import MIB


def test_groups_of_grains() -> None:
    assert scan_work.grains_of(()) == ALL_GRAINS
    assert scan_work.grains_of(("cdc",)) == ALL_GRAINS[6:]
    assert scan_work.grains_of(("fixed", "whole")) == (*ALL_GRAINS[1:6], "whole")
    assert scan_work.grains_of(("other",)) == ("other",)


@pytest.mark.parametrize("text", ["1/64", "0.015625"])
def test_shares(text: str) -> None:
    assert scan_work.share_of(text) == 1 / 64


@pytest.mark.parametrize("text", ["", "1/0", "many"])
def test_no_shares(text: str) -> None:
    with pytest.raises(PlanError, match="is not a share"):
        scan_work.share_of(text)


def foretold(sources: list[FileSource | StandardInput], sample: float | None = None) -> str:
    return "\n".join(note.text for note in scan_work.foretold(sources, ScanSettings(sample=sample)))


def test_memory_is_said_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(bytes(MIB))
    assert "for 1.00 MiB" in foretold([FileSource(str(tmp_path))])
    assert "each GiB" in foretold([StandardInput(io.BytesIO())])
    # A GiB of rows takes far more than a GiB of files, so what a row takes is said too.
    rows = 100_000_000
    row_bytes = (exact_memory_bytes(2 * rows, ["whole"], 2) - EXACT_KNOWN_BYTES) / rows
    assert f"take {row_bytes:.0f} bytes each" in foretold([StandardInput(io.BytesIO())])
    assert "whatever its length" in foretold([FileSource(str(tmp_path))], 1 / 64)
    memory = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=1024))
    monkeypatch.setattr("psutil.virtual_memory", memory.virtual_memory)
    assert "more than the 1.00 KiB" in foretold([FileSource(str(tmp_path))])


def test_a_log_gets_lines_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((100.0, 101.0, 111.0, 112.0))
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr("deduplab.cli.scan_work.time", clock)
    stream = io.StringIO()
    with scan_work.shown_progress(stream, "scanning", 22 * MIB) as advance:
        advance(MIB)
        advance(10 * MIB)
        advance(MIB)
    lines = stream.getvalue().splitlines()
    assert lines == ["11.0 MiB scanned of 22.0 MiB, 11.0 s left, 1 MB/s"]


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    before = set(threading.enumerate())  # other tests may have left some that end meanwhile
    with scan_work.shown_progress(stream, "scanning", 2 * MIB) as advance:
        assert not set(threading.enumerate()) - before
        advance(MIB)
        time.sleep(0.11)  # longer than between two pictures
        advance(MIB // 2)
    assert "scanning" in stream.getvalue()
    assert "1.5/2.0 MiB" in stream.getvalue()


def test_planted_payloads_of_files_are_whole(tmp_path: Path) -> None:
    spec = DatasetSpec(
        payload="random_binary",
        logical_bytes=5 * MIB,
        object_bytes=2 * MIB + MIB // 2,
        grade_percent=0,
        distance="none",
    )
    dataset = build_dataset(spec)
    export.write(dataset, tmp_path / "made", lambda count: None)
    found = list(scan_work.planted_payloads(str(tmp_path / "made"))())
    assert found == [dataset.payload(ordinal) for ordinal in range(dataset.objects)]
    next((tmp_path / "made" / "objects").rglob("*.bin")).unlink()
    (tmp_path / "made" / "objects" / "00000000" / "link").symlink_to("nowhere")
    with pytest.raises(DatasetError, match="can't be used"):
        list(scan_work.planted_payloads(str(tmp_path / "made"))())
