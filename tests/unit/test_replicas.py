"""The layer REPLICAS: files of all members, and how many copies they were found to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deduplab.analysis import Figures, rows
from deduplab.analysis.replicas import replicas_findings
from deduplab.analysis.row import Row
from deduplab.cell import CellResult
from deduplab.errors import ProbeError
from deduplab.model import Footprint, Layer, Moment, Reading, Ruler
from deduplab.probes.replicas import ReplicasProbe
from deduplab.report.latex.document import files_of
from deduplab.server import Member
from deduplab.store import Run
from tests.report.factory import Behaviour, matrix, run_of


def members(tmp_path: Path, *lengths_bytes: int) -> list[Member]:
    found = []
    for number, length_bytes in enumerate(lengths_bytes):
        directory = tmp_path / f"member-{number}"
        directory.mkdir()
        (directory / "file").write_bytes(b"x" * length_bytes)
        found.append(Member(directory.name, directory))
    return found


def test_each_member_is_a_component_and_all_add_up(tmp_path: Path) -> None:
    probe = ReplicasProbe(members(tmp_path, 5000, 7000, 9000), lambda: 2)
    allocated, apparent = probe.measure()
    assert (allocated.ruler, apparent.ruler) == (Ruler.ALLOCATED, Ruler.APPARENT)
    assert apparent.components == {"member-0": 5000, "member-1": 7000, "member-2": 9000}
    assert apparent.total_bytes == 21_000
    assert allocated.total_bytes == sum(allocated.components.values()) == probe.allocated_bytes()
    assert {reading.copies for reading in (allocated, apparent)} == {2}
    assert all("of 3 members" in reading.source for reading in (allocated, apparent))


def test_a_member_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    found = members(tmp_path, 10, 20)
    (found[1].directory / "file").unlink()
    found[1].directory.rmdir()
    with pytest.raises(ProbeError, match="member-1: the data directory is gone"):
        ReplicasProbe(found, lambda: 2).measure()


def test_copies_that_can_not_be_counted_leave_no_reading(tmp_path: Path) -> None:
    def unknown() -> int:
        raise ProbeError("nobody says")

    with pytest.raises(ProbeError, match="nobody says"):
        ReplicasProbe(members(tmp_path, 10), unknown).measure()


def replicated(result: CellResult, copies: dict[str, int]) -> CellResult:
    """Give a cell three members, the others with 10 % more than the first, at every moment.

    Parameters
    ----------
    copies
        How many hold everything, by the name of the moment.
    """

    def read(moment: Moment) -> Moment:
        first = moment.footprint.reading(Layer.FILES, Ruler.ALLOCATED)
        assert first is not None
        sizes = {"a": first.total_bytes, "b": first.total_bytes * 11 // 10}
        sizes["c"] = sizes["b"]
        reading = Reading(
            *(Layer.REPLICAS, Ruler.ALLOCATED, sum(sizes.values()), "factory", 0, sizes),
            copies=copies[moment.name],
        )
        return replace(moment, footprint=Footprint((*moment.footprint.readings, reading)))

    assert result.baseline is not None
    return replace(
        result,
        cell=replace(result.cell, replicas=3),
        baseline=read(result.baseline),
        measurements=tuple(
            replace(entry, moments=tuple(map(read, entry.moments))) for entry in result.measurements
        ),
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A system whose third member is behind at flush."""
    copies = {"baseline": 3, "flush": 2, "rest": 3, "reclaim": 3}
    cells = matrix([Behaviour("store", unique_cost=0.5)], grades=(0, 90), distances=("shuffled",))
    return run_of(tmp_path, [replicated(cell, copies) for cell in cells])


@pytest.fixture
def found(run: Run) -> list[Row]:
    return rows(run)


def value(found: list[Row], metric: str, moment: str, layer: Layer = Layer.REPLICAS) -> float:
    (row,) = [
        row
        for row in found
        if (row.metric, row.stage, row.moment) == (metric, "bulk", moment)
        and (row.layer, row.ruler) == (layer, Ruler.ALLOCATED)
        and row.grade_asked == "U90"
    ]
    assert row.ok
    assert row.value is not None
    assert row.replicas == 3
    return row.value


def test_the_reduction_of_a_copy_is_by_the_copies_that_were_counted(found: list[Row]) -> None:
    """1 / 0.5 a copy of the first; 3.2 times the bytes are in all: 2 / 3.2, times 3, or times 2."""
    assert value(found, "edr", "rest", Layer.FILES) == pytest.approx(2, rel=1e-3)
    assert value(found, "edr", "rest") == pytest.approx(2 / 3.2, rel=1e-3)
    assert value(found, "physical_copies", "flush") == 2
    assert value(found, "edr_replica", "flush") == pytest.approx(2 / 3.2 * 2, rel=1e-3)
    assert value(found, "physical_copies", "rest") == 3
    assert value(found, "edr_replica", "rest") == pytest.approx(2 / 3.2 * 3, rel=1e-3)


def test_the_report_sets_all_copies_beside_the_first(found: list[Row]) -> None:
    (finding,) = replicas_findings(found)
    assert finding.subject.name == "store with 3 replicas"
    assert (finding.grade, finding.distance) == ("U90", "shuffled")
    assert [entry.moment for entry in finding.moments] == ["flush", "rest", "reclaim"]
    flush = finding.moments[0]
    assert flush.copies is not None
    assert flush.copies.value == 2
    assert flush.edr_each is not None
    assert flush.edr_each.metric == "edr_replica"


def test_a_paper_has_all_copies_too(run: Run) -> None:
    written = files_of(Figures.of(run)).items()
    files = {path: content.decode() for path, content in written if "pdf" not in path}
    table = files["tables/replicas.tex"]
    assert "store with 3 replicas" in table
    assert "flush & 1 & 2.00 &  & 2.00 &  & 0.62 &  & 1.25 &" in table
    name = r"\dlStoreRandomBinaryWithThreeReplicasUNineZeroShuffledBulkRestEdrReplica"
    assert f"\\newcommand{{{name}}}{{1.88}}" in files["macros.tex"]


def test_a_system_without_replication_has_no_such_figures(tmp_path: Path) -> None:
    found = rows(run_of(tmp_path, matrix([Behaviour("store")], grades=(0, 50))))
    assert not [row for row in found if row.metric in ("edr_replica", "physical_copies")]
    assert replicas_findings(found) == []
