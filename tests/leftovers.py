"""What servers leave in places that all share, found by whose it is."""

from __future__ import annotations

from pathlib import Path

import psutil

from deduplab.servers import _shared_memory


def own_segments(workspace: Path) -> list[Path]:
    """Return the notes of directories in memory whose instance lies in a workspace."""
    found = []
    for note in _shared_memory.PLACE.glob("deduplab-*/instance"):
        try:
            if note.read_text().startswith(str(workspace)):
                found.append(note)
        except FileNotFoundError:
            continue  # somebody else's, who has just removed it
    return found


def sockets_of(processes: list[psutil.Process]) -> list[Path]:
    """Return SeaweedFS' sockets in /tmp that these processes listen at."""
    found = []
    for process in processes:
        try:
            found += [Path(str(one.laddr)) for one in process.net_connections("unix") if one.laddr]
        except psutil.Error:
            continue
    return [path for path in found if path.name.startswith("seaweedfs-")]
