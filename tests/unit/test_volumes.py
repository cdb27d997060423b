"""Volumes without root: options, refusals, plans, parsing, and the verdict on what they save."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from deduplab import config
from deduplab.analysis import rows
from deduplab.analysis.storage_layer import volume_findings
from deduplab.analysis.tables import findings_of, volumes_table
from deduplab.bench import environment, matrix
from deduplab.bench.estimate import estimate
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.cell import CellResult
from deduplab.errors import PlanError, ProbeError, Unsupported
from deduplab.model import DEDUPE, Footprint, Layer, Moment, OutcomeKind, Reading, Ruler, Stage
from deduplab.probes.volume import VolumeProbe, space_components
from deduplab.report import html
from deduplab.units import GIB, KIB, MIB
from deduplab.volumes import FILE_SYSTEMS, file_system, file_systems, mounted, mounting
from deduplab.volumes.sharing import require_sharing
from tests.report.factory import BASE_BYTES, Behaviour, run_of
from tests.report.factory import matrix as made_up

PLAN = """\
name = "t"
repetitions = 1
stages = ["bulk", "reclaim"]
{keys}
[data]
payloads = ["random_binary"]
grades = ["U0"]
logical_size = "1 MiB"
object_size = "8 KiB"
[systems.plain]
[systems.sqlite]
"""


def plan(keys: str = "", text: str = PLAN) -> config.Plan:
    return config.parse(text.format(keys=keys), origin="t.toml")


# Making one


@pytest.mark.parametrize("kind", list(FILE_SYSTEMS))
def test_too_small_a_volume_is_refused_with_the_least_size(kind: str) -> None:
    with pytest.raises(PlanError, match="at least"):
        file_system(kind).require(FILE_SYSTEMS[kind].least_bytes - 1)


def test_an_unknown_volume_names_the_nearest() -> None:
    with pytest.raises(PlanError, match="did you mean 'btrfs'"):
        file_system("btrf")


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unsupported, match="takes root"), mounted("ext4", 64 * MIB, tmp_path):
        pass
    assert list(tmp_path.parent.glob("*.image")) == []


def test_a_cell_without_root_is_unsupported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (cell, *_) = matrix.cells(plan('volume = "ext4"'))
    result, _ = run_cell(cell, tmp_path, ManifestCache(tmp_path / "manifests"))
    assert result.outcome.kind is OutcomeKind.UNSUPPORTED
    assert "takes root" in result.outcome.reason
    assert result.measurements == ()


@pytest.mark.parametrize(("kind", "package"), [("btrfs", "btrfs-progs"), ("xfs", "xfsprogs")])
def test_missing_tools_are_named_with_their_package(
    monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(file_systems, "tool", lambda program: None)
    with pytest.raises(Unsupported, match=f"apt-get install {package}"):
        file_system(kind).require(GIB)


def test_what_is_laid_down_is_recorded() -> None:
    assert "compress=zstd:3" in file_system("btrfs-zstd").words
    assert "--metadata single" in file_system("btrfs").words
    assert "allocsize=4096" in file_system("xfs").words
    assert "lazy_itable_init=0" in file_system("ext4").words
    assert "-m 0" in file_system("ext4").words


def test_the_environment_tells_how_volumes_are_made(tmp_path: Path) -> None:
    found = environment.record(tmp_path, volumes=["none", "ext4", "btrfs"])
    assert found["volume ext4"].startswith("mkfs.ext4 -q -m 0")
    assert "duperemove" in found["volume dedupe"] or "missing" in found["volume dedupe"]
    assert "volume none" not in found
    assert not [name for name in environment.record(tmp_path) if name.startswith("volume")]


def test_mount_points_with_spaces_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = "36 35 98:0 / /mnt/a\\040b\\134c rw,noatime - ext4 /dev/loop0 rw\n"
    monkeypatch.setattr(Path, "read_text", lambda self: line)
    assert mounting.mount_points() == [Path("/mnt/a b\\c")]


# Reading one


def test_the_space_of_btrfs_by_kind() -> None:
    data, system, metadata, reserve = 1, 2, 4 | 1 << 5, 4 | 1 << 49
    table = b"".join(
        struct.pack("=QQQ", flags, 10**9, used)
        for flags, used in ((data, 1000), (system, 16), (metadata, 200), (reserve, 7))
    )
    # metadata lies there twice (DUP); the reserve is in memory only
    assert space_components(table, 4) == {"data": 1000, "system": 16, "metadata": 400}
    assert space_components(table, 1) == {"data": 1000}
    mixed = struct.pack("=QQQ", 1 | 4, 10**9, 5)
    assert space_components(mixed, 1) == {"data+metadata": 5}


def test_a_directory_that_is_no_file_system_of_its_own_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="no file system of its own"):
        VolumeProbe(tmp_path, file_system("ext4")).measure()


# Sharing blocks


def test_dedupe_is_refused_where_no_blocks_can_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unsupported, match="lies on none"):
        require_sharing(None)
    with pytest.raises(Unsupported, match="ext4 can't share blocks"):
        require_sharing(file_system("ext4"))
    monkeypatch.setattr("deduplab.volumes.sharing.tool", lambda program: None)
    with pytest.raises(Unsupported, match="apt-get install duperemove"):
        require_sharing(file_system("xfs"))


# Plans


def test_a_plan_without_a_volume_is_as_before() -> None:
    found = plan()
    assert found.volumes == ("none",)
    assert {(cell.volume, cell.volume_bytes) for cell in matrix.cells(found)} == {("none", 0)}


def test_volumes_are_a_factor() -> None:
    cells = matrix.cells(plan('volumes = ["none", "ext4", "btrfs"]\ndedupe = true'))
    assert sorted((cell.system, cell.volume) for cell in cells) == [
        (system, volume) for system in ("plain", "sqlite") for volume in ("btrfs", "ext4", "none")
    ]
    modes = {(cell.system, cell.volume): cell.reclaim_modes for cell in cells}
    assert modes["plain", "btrfs"] == (DEDUPE,)
    assert modes["sqlite", "btrfs"][-1] == DEDUPE
    assert DEDUPE not in modes["sqlite", "none"]
    assert len({cell.cell_id for cell in cells}) == 6
    assert "on btrfs" in next(cell.label for cell in cells if cell.volume == "btrfs")


def test_the_size_follows_from_the_data_or_is_given() -> None:
    (cell, _) = matrix.cells(plan('volume = "xfs"'))
    assert cell.volume_bytes == GIB + 4 * MIB
    found = plan('volume = "xfs"\nvolume_size = "400 MiB"')
    (cell, _) = matrix.cells(found)
    assert cell.volume_bytes == 400 * MIB
    assert estimate(matrix.cells(found)).disk_bytes == 400 * MIB + 2 * 64 * KIB


def test_dedupe_may_be_named_as_the_last_reclaim_mode() -> None:
    text = PLAN + 'reclaim = ["dedupe", "vacuum"]\n'
    found = plan('volume = "xfs"', text)
    assert found.systems[1].reclaim_modes == ("vacuum", DEDUPE)
    assert DEDUPE not in found.systems[0].reclaim_modes


@pytest.mark.parametrize(
    ("value", "modes"),
    [
        ("true", ("dedupe",)),
        ('"duperemove"', ("dedupe",)),
        ('"blocks"', ("dedupe-blocks",)),
        ("false", ()),
    ],
)
def test_blocks_are_shared_by_one_of_two_programs(value: str, modes: tuple[str, ...]) -> None:
    cells = matrix.cells(plan(f'volume = "xfs"\ndedupe = {value}'))
    assert [cell.volume_modes for cell in cells] == [modes, modes]
    assert {cell.system: cell.own_reclaim_modes for cell in cells} == {
        "plain": (),
        "sqlite": ("vacuum",),
    }


def test_two_ways_to_dedupe_one_cell_are_refused() -> None:
    text = PLAN + 'reclaim = ["dedupe-blocks"]\n'
    with pytest.raises(PlanError, match="one way to dedupe a cell"):
        plan('volume = "xfs"\ndedupe = true', text)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('volume = "btrf"', "t.toml:4: volume: unknown volume 'btrf'; did you mean 'btrfs'"),
        ('volumes = ["ext4"]\ndedupe = true', "t.toml:5: 'dedupe' shares blocks of a volume"),
        ("dedupe = true", "give one that can: btrfs, btrfs-zstd, xfs"),
        ('volume = "xfs"\nvolume_size = "100 MiB"', "t.toml:5: a volume 'xfs' takes at least"),
        ('volume_size = "1 GiB"', "'volume_size' needs a 'volume'"),
        ('volume = "xfs"\nvolumes = ["ext4"]', "not both"),
        ("volumes = []", "at least one entry"),
        ('volume = "xfs"\ndedupe = "block"', "t.toml:5: dedupe: unknown way to dedupe 'block'"),
    ],
)
def test_what_can_not_be_is_refused_with_its_line(keys: str, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan(keys)
    assert words in str(caught.value)


def test_a_remote_server_has_no_volume() -> None:
    text = PLAN + '[systems.redis.remote]\nhost = "db.example"\nport = 6379\nuser = "lab"\n'
    with pytest.raises(PlanError, match="redis is remote: only a private instance has a volume"):
        plan('volume = "xfs"', text.replace("[systems.sqlite]\n", ""))


# The verdict


def on_volume(
    result: CellResult, kind: str, unique_cost: float, etas: dict[str, float]
) -> CellResult:
    """Lay a made-up cell on a volume that shows these eta after bulk, at every moment named.

    ``dedupe`` among them adds that step.
    """
    manifest = result.bulk_manifest
    assert manifest is not None

    def read(moment: Moment) -> Moment:
        eta = etas.get(moment.name, 0.0)
        stored = manifest.unique_bytes + (1 - eta) * manifest.duplicate_bytes
        grown = 0 if moment.name == "baseline" else round(unique_cost * stored)
        volume = Reading(Layer.VOLUME, Ruler.REPORTED, BASE_BYTES + grown, "made up", 0)
        return replace(moment, footprint=Footprint((*moment.footprint.readings, volume)))

    measurements = list(result.measurements)
    if DEDUPE in etas:
        last = measurements[-1]
        moment = replace(last.moments[-1], name=DEDUPE)
        measurements.append(
            replace(last, position=len(measurements), mode=DEDUPE, moments=(moment,))
        )
    assert result.baseline is not None
    modes = (*result.cell.reclaim_modes, *((DEDUPE,) if DEDUPE in etas else ()))
    return replace(
        result,
        cell=replace(result.cell, volume=kind, volume_bytes=GIB, reclaim_modes=modes),
        baseline=read(result.baseline),
        measurements=tuple(
            replace(entry, moments=tuple(read(moment) for moment in entry.moments))
            for entry in measurements
        ),
    )


STORE = Behaviour("sqlite", stages=(Stage.BULK, Stage.RECLAIM), modes=("vacuum",))
NEVER = {"flush": 0.0, "rest": 0.0, "reclaim": 0.0}


def laid(
    kind: str,
    shuffled: dict[str, float],
    adjacent: dict[str, float] | None = None,
    unique_cost: float = 1.0,
) -> list[CellResult]:
    return [
        on_volume(
            cell,
            kind,
            unique_cost,
            adjacent if adjacent and cell.cell.bulk.distance == "adjacent" else shuffled,
        )
        for cell in made_up([STORE], grades=(0, 90))
    ]


def verdict(tmp_path: Path, cells: list[CellResult]) -> tuple[str, str]:
    (finding,) = findings_of(rows(run_of(tmp_path, cells)))
    return finding.attribution.verdict, finding.attribution.words


def test_what_dedupe_shares_is_the_storage_layer(tmp_path: Path) -> None:
    found, words = verdict(tmp_path, laid("xfs", NEVER | {DEDUPE: 0.93}))
    assert found == "storage-layer"
    assert "Dedupe shares equal blocks beneath the files" in words
    assert "0.93 on VOLUME and 0.00 on FILES shuffled, at dedupe" in words


def test_dedupe_that_finds_nothing_is_told_and_not_claimed(tmp_path: Path) -> None:
    found, words = verdict(tmp_path, laid("btrfs", NEVER | {DEDUPE: 0.0}))
    assert found == "none"
    assert "Dedupe saves nothing beneath these files" in words


def test_compression_of_the_volume_that_spans_neighbours(tmp_path: Path) -> None:
    near = {"flush": 0.8, "rest": 0.8, "reclaim": 0.8}
    found, words = verdict(tmp_path, laid("btrfs-zstd", NEVER, near, unique_cost=0.4))
    assert found == "compression-implicit"
    assert "The volume's compression spans neighbours" in words
    assert "The volume compresses: u is 0.40 on VOLUME, 1.00 on FILES" in words


def test_sharing_without_being_asked_is_the_storage_layer(tmp_path: Path) -> None:
    always = {"flush": 0.9, "rest": 0.9, "reclaim": 0.9}
    found, words = verdict(tmp_path, laid("btrfs", always))
    assert found == "storage-layer"
    assert "The volume shares blocks beneath the files" in words


def test_adjacent_copies_alone_do_not_make_compression_of_the_volume_sharing(
    tmp_path: Path,
) -> None:
    always = {"flush": 0.8, "rest": 0.8, "reclaim": 0.8}
    cells = [cell for cell in laid("btrfs-zstd", always) if cell.cell.bulk.distance != "shuffled"]
    found, words = verdict(tmp_path, cells)
    assert found == "undecided"
    assert "without shuffled ones sharing can't be told from compression" in words


def test_a_volume_that_shows_what_the_files_show_adds_nothing(tmp_path: Path) -> None:
    found, words = verdict(tmp_path, laid("ext4", NEVER))
    assert found == "none"
    assert "volume" not in words
    assert words.startswith("In the files: nothing saved")


def test_with_and_without_are_two_subjects_side_by_side(tmp_path: Path) -> None:
    cells = [*made_up([STORE], grades=(0, 90)), *laid("xfs", NEVER | {DEDUPE: 0.93})]
    run = run_of(tmp_path, cells)
    found = rows(run)
    assert [entry.subject.name for entry in findings_of(found)] == ["sqlite", "sqlite on xfs"]
    (volume,) = volume_findings(found)
    assert volume.subject.name == "sqlite on xfs"
    assert [entry.moment for entry in volume.moments] == ["flush", "rest", "reclaim", DEDUPE]
    last = volumes_table([volume]).lines[-1]
    assert last == ("sqlite on xfs", "random_binary", "U90", DEDUPE,
                    "1.00", "1.00", "0.00", "0.93", "0.00", "0.93")  # fmt: skip
    page = html.render(run)
    assert "Below the files: the volume" in page
    assert "sqlite on xfs" in page


def test_a_report_without_volumes_says_nothing_of_them(tmp_path: Path) -> None:
    assert "Below the files" not in html.render(run_of(tmp_path, made_up([STORE], grades=(0,))))
