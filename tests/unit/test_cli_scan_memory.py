from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from deduplab.bound.known import EXACT_KNOWN_BYTES
from deduplab.bound.memory import exact_memory_bytes
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sources.files import FileSource
from deduplab.bound.sources.raw import StandardInput
from deduplab.cli import scan_memory
from deduplab.units import MIB


def foretold(sources: list[FileSource | StandardInput], sample: float | None = None) -> str:
    return "\n".join(
        note.text for note in scan_memory.foretold(sources, ScanSettings(sample=sample))
    )


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
