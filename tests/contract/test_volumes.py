"""Volumes for real: made, read, shared and taken away again. Takes root and the tools."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported
from deduplab.executors import workspace as workspaces
from deduplab.model import (
    DEDUPE_MODES,
)
from deduplab.probe import Probe
from deduplab.probes.shared import SharedExtentsProbe
from deduplab.probes.volume import VolumeProbe
from deduplab.testing import ProbeContract
from deduplab.units import GIB, KIB, MIB
from deduplab.volumes import (
    FILE_SYSTEMS,
    file_system,
    mounted,
    mounting,
    share_blocks,
)
from tests.contract.loop_mounts import (
    KINDS,
    OBJECT_BYTES,
    OBJECTS,
    SHARING,
    Refuse,
    fill,
    left_in,
    loop_devices,
    skip_unless_possible,
    used,
    wait_until,
)


@pytest.fixture(scope="module", autouse=True)
def possible(not_brought_up: Refuse) -> None:
    skip_unless_possible(not_brought_up)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory for a volume; afterwards nothing is mounted below, and no image is left."""
    directory = tmp_path / "volume"
    directory.mkdir()
    yield directory
    assert not left_in(tmp_path)
    assert not loop_devices(tmp_path)


# A volume


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_fresh_empty_and_of_the_least_size(kind: str, place: Path) -> None:
    with mounted(kind, FILE_SYSTEMS[kind].least_bytes, place) as directory:
        assert directory == place
        assert os.path.ismount(place)
        assert list(place.iterdir()) == []
        assert place.stat().st_mode & 0o777 == 0o711
        assert not list(place.parent.glob("*.image")), "the image is deleted once it is mounted"
        (place / "some").write_bytes(b"x" * MIB)
    assert not os.path.ismount(place)
    assert list(place.iterdir()) == []


def test_an_image_that_is_there_is_not_ours_and_stays(place: Path) -> None:
    other = place.with_name("volume.image")
    other.write_bytes(b"somebody's")
    with pytest.raises(SystemUnavailable, match="can't be made"), mounted("ext4", 16 * MIB, place):
        pass
    assert other.read_bytes() == b"somebody's"
    other.unlink()


def test_it_goes_after_a_failure(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), mounted("ext4", 16 * MIB, place):
        raise ZeroDivisionError


def test_a_busy_volume_is_detached_and_goes_with_its_last_user(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounting, "_BUSY_S", 0.1)
    with mounted("ext4", 16 * MIB, place):
        busy = subprocess.Popen(["sleep", "60"], cwd=place)
    assert not os.path.ismount(place)
    assert loop_devices(place.parent)
    busy.kill()
    busy.wait()
    assert wait_until(lambda: not loop_devices(place.parent))


KILLED = """
import os, signal, sys
from pathlib import Path
from deduplab import volumes
if sys.argv[2] == "private":
    volumes.private_mounts()
with volumes.mounted("ext4", 16 * 2**20, Path(sys.argv[1])) as place:
    (place / "some").write_bytes(b"x" * 2**20)
    print("mounted", flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("how", ["shared", "private"])
def test_nothing_stays_when_its_process_is_killed(how: str, place: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(place), how], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "mounted\n"
        assert os.path.ismount(place) is (how == "shared"), "a private mount is seen by it alone"
        assert loop_devices(place.parent)
        process.kill()
        process.wait()
    assert wait_until(lambda: not left_in(place.parent) and not loop_devices(place.parent))


def test_a_sweep_unmounts_what_a_dead_owner_left(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    orphan = root / "instance-dead" / "instance" / "volume"
    orphan.mkdir(parents=True)
    (root / "instance-dead" / "owner").touch()  # nobody holds it locked
    with mounted("ext4", 16 * MIB, orphan):
        (orphan / "some").write_bytes(b"x")
        assert workspaces.sweep(root) == (0, 1)
        assert not root.joinpath("instance-dead").exists()
    assert not left_in(tmp_path)


OUTLIVED = """
import os, subprocess, sys
from pathlib import Path
from deduplab import volumes
volumes.private_mounts()
with volumes.mounted("ext4", 16 * 2**20, Path(sys.argv[1])) as place:
    (place / "data").mkdir()
    child = subprocess.Popen(["sleep", "60"], cwd=place / "data", stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    child.wait()
"""


def test_a_sweep_ends_what_outlived_its_owner_on_a_private_volume(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    orphan = root / "instance-dead" / "instance" / "volume"
    orphan.mkdir(parents=True)
    (root / "instance-dead" / "owner").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", OUTLIVED, str(orphan)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        child = psutil.Process(int(process.stdout.readline()))
        process.kill()
        process.wait()
    assert loop_devices(tmp_path), "the namespace lives as long as the child"
    assert workspaces.sweep(root) == (1, 1)
    assert not child.is_running()
    assert wait_until(lambda: not loop_devices(tmp_path))


# Its probes


@pytest.fixture(params=KINDS)
def filled(request: pytest.FixtureRequest, place: Path) -> Iterator[tuple[str, Path]]:
    kind: str = request.param
    with mounted(kind, GIB, place):
        fill(place)
        yield kind, place


class TestVolumeProbe(ProbeContract):
    @pytest.fixture
    def probe(self, filled: tuple[str, Path]) -> Probe:
        kind, directory = filled
        return VolumeProbe(directory, file_system(kind))

    @pytest.fixture
    def blind(self, tmp_path: Path) -> Probe:
        return VolumeProbe(tmp_path / "gone", file_system("ext4"))


class TestSharedExtentsProbe(ProbeContract):
    @pytest.fixture
    def probe(self, place: Path) -> Iterator[Probe]:
        with mounted("xfs", GIB, place):
            fill(place)
            share_blocks(place, place.with_name("hashes"), 60)
            yield SharedExtentsProbe(place)

    @pytest.fixture
    def blind(self) -> Iterator[Probe]:
        """A probe of a file system that does not tell extents."""
        directory = Path("/dev/shm") / f"deduplab-test-{os.getpid()}"
        directory.mkdir()
        (directory / "some").write_bytes(b"x")
        yield SharedExtentsProbe(directory)
        (directory / "some").unlink()
        directory.rmdir()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_used_and_what_is_deleted_is_not(kind: str, place: Path) -> None:
    with mounted(kind, GIB, place):
        empty = used(place, kind)
        fill(place, copies=1)
        grown = used(place, kind) - empty
        assert OBJECTS * OBJECT_BYTES <= grown < 1.15 * OBJECTS * OBJECT_BYTES
        for path in place.iterdir():
            path.unlink()
        assert used(place, kind) - empty < 64 * KIB


@pytest.mark.parametrize("mode", DEDUPE_MODES)
@pytest.mark.parametrize("kind", SHARING)
def test_sharing_blocks_halves_one_copy(kind: str, mode: str, place: Path) -> None:
    shared = SharedExtentsProbe(place)
    with mounted(kind, GIB, place):
        empty = used(place, kind)
        unique_bytes = fill(place)
        before = used(place, kind) - empty
        assert shared.measure()[0].total_bytes == 0
        share_blocks(place, place.with_name("hashes"), 60, mode)
        after = used(place, kind) - empty
        assert shared.measure()[0].total_bytes == 2 * unique_bytes
        metadata_bytes = before - 2 * unique_bytes
        assert abs(after - unique_bytes - metadata_bytes) < 0.05 * unique_bytes
        assert (place / "7-0").read_bytes() == (place / "7-1").read_bytes()
    assert not list(place.parent.glob("hashes*"))


def test_blocks_inside_one_file_are_shared_too(place: Path) -> None:
    chance = random.Random(2)
    payloads = [chance.randbytes(OBJECT_BYTES) for _ in range(50)]
    order = [chance.randrange(50) for _ in range(OBJECTS)]
    tail = b"the last block of a file is short"
    with mounted("xfs", GIB, place):
        empty = used(place, "xfs")
        content = b"".join(payloads[number] for number in order) + tail
        (place / "one").write_bytes(content)
        (place / "two").write_bytes(payloads[0] + tail)
        share_blocks(place, place.with_name("hashes"), 60, "dedupe-blocks")
        least_bytes = len(set(order)) * OBJECT_BYTES
        assert least_bytes <= used(place, "xfs") - empty < 1.3 * least_bytes
        assert (place / "one").read_bytes() == content
        assert (place / "two").read_bytes() == payloads[0] + tail


def test_a_file_system_that_can_not_share_is_an_error(place: Path) -> None:
    with mounted("ext4", 64 * MIB, place):
        fill(place)
        with pytest.raises(OperationFailed, match="dedupe-blocks ended with exit code"):
            share_blocks(place, place.with_name("hashes"), 60, "dedupe-blocks")


def test_sharing_has_a_deadline(place: Path) -> None:
    with mounted("xfs", GIB, place):
        fill(place)
        with pytest.raises(OperationFailed, match="raise cell_deadline_s"):
            share_blocks(place, place.with_name("hashes"), 0.001)


def test_nothing_to_share_is_no_failure(place: Path) -> None:
    with mounted("xfs", GIB, place):
        share_blocks(place, place.with_name("hashes"), 60)
        fill(place, copies=1)
        share_blocks(place, place.with_name("hashes"), 60)


def test_the_files_of_btrfs_do_not_tell_what_it_compresses(place: Path) -> None:
    with mounted("btrfs-zstd", GIB, place):
        empty = used(place, "btrfs-zstd")
        text = place / "text"
        text.write_bytes(b"the same words again and again " * 100_000)
        grown = used(place, "btrfs-zstd") - empty
        assert text.stat().st_blocks * 512 >= text.stat().st_size
        assert grown < text.stat().st_size / 10


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("mount: /x: unknown filesystem type 'ext4'.", "this kernel can't mount ext4"),
        ("mount: /x: permission denied.", "takes the capability CAP_SYS_ADMIN"),
    ],
)
def test_what_the_kernel_refuses_is_unsupported(
    said: str, words: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = place.parent / "programs"
    programs.mkdir()
    (programs / "mount").write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 32\n')
    (programs / "mount").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    with pytest.raises(Unsupported, match=words), mounted("ext4", 16 * MIB, place):
        pass
