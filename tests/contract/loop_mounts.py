"""What tests of volumes share: what is possible here, what is left, and what is used."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from deduplab.errors import DeduplabError
from deduplab.model import Layer
from deduplab.probes.volume import VolumeProbe
from deduplab.units import GIB, KIB
from deduplab.volumes import FILE_SYSTEMS, file_system, mount_points, require_sharing

KINDS = tuple(FILE_SYSTEMS)
SHARING = tuple(kind for kind, entry in FILE_SYSTEMS.items() if entry.shares)
GONE_S = 20.0
OBJECTS = 500
OBJECT_BYTES = 8 * KIB

Refuse = Callable[[str, Exception], NoReturn]


def skip_unless_possible(not_brought_up: Refuse) -> None:
    """Skip, with the reason, where a volume can't be made."""
    try:
        for kind in KINDS:
            file_system(kind).require(GIB)
            if kind in SHARING:
                require_sharing(file_system(kind))
    except DeduplabError as error:
        not_brought_up("volumes", error)


def left_in(root: Path) -> list[Path]:
    """What is left of volumes below a directory: mounts and images."""
    mounts = [path for path in mount_points() if path.is_relative_to(root)]
    return [*mounts, *root.rglob("*.image")]


def loop_devices(root: Path) -> list[str]:
    """Loop devices whose image lies, or lay, below a directory."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            name = backing.read_text()
        except OSError:
            continue  # it has just been freed
        if name.startswith(str(root)):
            found.append(name)
    return found


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + GONE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def fill(directory: Path, copies: int = 2) -> int:
    """Write files of random bytes, each content so many times; return the unique bytes."""
    chance = random.Random(1)
    for number in range(OBJECTS // copies):
        content = chance.randbytes(OBJECT_BYTES)
        for copy in range(copies):
            (directory / f"{number}-{copy}").write_bytes(content)
    return OBJECTS // copies * OBJECT_BYTES


def used(directory: Path, kind: str) -> int:
    (reading,) = VolumeProbe(directory, file_system(kind)).measure()
    assert reading.layer is Layer.VOLUME
    assert file_system(kind).words in reading.source
    return reading.total_bytes
