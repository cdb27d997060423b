"""Stores with known answers and objects of many lengths: what files round up to is no answer."""

from __future__ import annotations

from pathlib import Path

from deduplab import config
from deduplab.analysis import calibrate
from deduplab.bench import matrix
from deduplab.bench.runner import run_campaign
from tests.faults.campaigns import SILENT, Here, new_run

# Few objects, so that those of U0 and of U50 are not rounded alike: by allocated bytes the
# plain store would seem to save some of its copies.
PLAN = """\
name = "lengths"
stages = ["bulk", "insert"]
[data]
payloads = ["random_binary"]
grades = ["U0", "U50"]
distances = ["shuffled"]
logical_size = "128 KiB"
object_size = { kind = "uniform", least = "512 B", most = "9 KiB" }
insert_share = "100 %"
[systems.plain]
[systems.single_instance]
[systems.chunked]
[systems.compressed]
"""


def test_the_known_answers_of_objects_of_many_lengths_come_out(tmp_path: Path) -> None:
    cells = matrix.cells(config.parse(PLAN, origin="lengths.toml"))
    run = new_run(tmp_path / "run", cells, PLAN)
    (tmp_path / "workspace").mkdir()
    run_campaign(run, cells, Here(run, tmp_path / "workspace"), SILENT)
    found = calibrate(run)
    assert found.verdict == "passed", found.summary
