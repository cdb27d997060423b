from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from deduplab.bound.known import EXACT_KNOWN_BYTES
from deduplab.bound.memory import exact_memory_bytes
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sources.files import FileSource
from deduplab.bound.sources.raw import StandardInput
from deduplab.cli import scan_memory
from deduplab.units import MIB, format_bytes


def foretold(
    sources: list[FileSource | StandardInput], sample: float | None = None, processes: int = 1
) -> str:
    notes = scan_memory.foretold(sources, ScanSettings(sample=sample), processes)
    return "\n".join(note.text for note in notes)


def test_memory_is_said_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(bytes(MIB))
    assert "for 1.00 MiB" in foretold([FileSource(str(tmp_path))])
    assert "each GiB" in foretold([StandardInput(io.BytesIO())])
    # A GiB of rows takes far more than a GiB of files, so what a row takes is said too.
    rows = 100_000_000
    asked = ScanSettings(("whole",), compress=False)
    row_bytes = (exact_memory_bytes(2 * rows, asked, 2) - EXACT_KNOWN_BYTES) / rows
    assert f"take {row_bytes:.0f} bytes each" in foretold([StandardInput(io.BytesIO())])
    assert "whatever its length" in foretold([FileSource(str(tmp_path))], 1 / 64)
    memory = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=1024))
    monkeypatch.setattr("psutil.virtual_memory", memory.virtual_memory)
    assert "more than the 1.00 KiB" in foretold([FileSource(str(tmp_path))])


def test_what_each_process_takes_is_said_too(tmp_path: Path) -> None:
    asked, length = ScanSettings(), 512 * MIB
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", length)
    one, four = (exact_memory_bytes(length, asked, processes=count) for count in (1, 4))
    # Each has samples of its own, and what three of them have counted is handed over.
    samples_bytes = 4 * exact_memory_bytes(length, asked) - 4 * exact_memory_bytes(
        length, ScanSettings(compress=False)
    )
    assert one + samples_bytes * 3 // 4 < four < 4 * one
    assert format_bytes(four) in foretold([FileSource(str(tmp_path))], processes=4)
    assert "each stream in each process" in foretold([FileSource(str(tmp_path))], 1 / 64, 4)
