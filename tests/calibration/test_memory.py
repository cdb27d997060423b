"""Memory stays bounded whatever the dataset: a cell of 1 GiB, loaded, read and verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BOUND_BYTES = 400 * 10**6

SCRIPT = """
import json, sys
from pathlib import Path
from deduplab import config
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache

plan = config.parse(Path("plan.toml").read_text(), origin="plan.toml")
(cell,) = matrix.cells(plan)
result, _ = run_cell(cell, Path("instance"), ManifestCache(Path("manifests")))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "outcome": result.outcome.kind.value,
    "reason": result.outcome.reason,
    "objects": result.bulk_manifest.objects,
    "peak_bytes": int(peak.split()[1]) * 1024,
}))
"""

PLAN = """\
name = "memory"
repetitions = 1
stages = ["bulk", "read"]
durability = "none"
[data]
payloads = ["random_binary"]
grades = ["U50"]
distances = ["shuffled"]
logical_size = "1 GiB"
object_size = "64 KiB"
batch_size = "16 MiB"
read_objects = 2000
[systems.sqlite]
"""


def test_a_gibibyte_passes_through_in_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "instance").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["outcome"] == "OK", found
    assert found["objects"] == 16 * 1024
    assert found["peak_bytes"] < BOUND_BYTES
