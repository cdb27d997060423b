"""What SeaweedFS tells beside S3: the volumes of a bucket, and its vacuum.

A bucket is a *collection* of volumes; each volume is one append-only file. The
volume servers tell the sizes of their volumes at once, the master only with
their next heartbeat, so they are asked themselves. Sources: SeaweedFS wiki,
"Volume Server API", "Master Server API", "Volume Management" (vacuum).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from deduplab.adapters._s3_wire import Wire
from deduplab.adapters._tls import Tls
from deduplab.errors import OperationFailed, ProbeError

CHUNK_BYTES: Final = 4 << 20
"""An object longer than this is cut (``-filer.maxMB``, 4 by default)."""

_VACUUMS: Final = 3
_POLLS: Final = 600
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one collection, added up.

    Parameters
    ----------
    number
        Of volumes.
    content_bytes
        Bytes of all chunks, the deleted ones too, without the headers, checksums and
        padding (about 36 bytes a chunk) around them.
    deleted_bytes
        The part of it that was deleted.
    chunks, deleted_chunks
        Written, and deleted of them, since the last vacuum.
    """

    number: int
    content_bytes: int
    deleted_bytes: int
    chunks: int
    deleted_chunks: int

    @property
    def live_chunks(self) -> int:
        """Chunks that were not deleted."""
        return self.chunks - self.deleted_chunks


def volumes_of(wire: Wire, collection: str) -> Volumes:
    """Ask every volume server of the endpoint for the volumes of a collection.

    Raises
    ------
    ProbeError
        If the endpoint does not say where they are.
    """
    servers = wire.endpoint.options.get("volumes", "")
    if not servers:
        raise ProbeError(
            "seaweedfs tells sizes by its volume servers, and their addresses are not known here"
        )
    found = [
        volume
        for server in servers.split(",")
        for volume in wire.get_json(f"{_address(wire, server)}/status")["Volumes"] or ()
        if volume["Collection"] == collection
    ]
    return Volumes(
        number=len(found),
        content_bytes=_sum(found, "Size"),
        deleted_bytes=_sum(found, "DeletedByteCount"),
        chunks=_sum(found, "FileCount"),
        deleted_chunks=_sum(found, "DeleteCount"),
    )


def expected_chunks(lengths_bytes: Iterable[int]) -> int:
    """Return how many chunks objects of these lengths are made of; an empty one has none."""
    return sum(-(-length // CHUNK_BYTES) for length in lengths_bytes)


def wait_for_deletions(wire: Wire, collection: str, expected: int) -> None:
    """Wait until no more than the expected chunks are live.

    The filer deletes the chunks of deleted objects about a second later, and a
    vacuum before that would find nothing.

    Raises
    ------
    OperationFailed
        If that has not happened after half a minute.
    """
    never = threading.Event()
    for _ in range(_POLLS):
        live = volumes_of(wire, collection).live_chunks
        if live <= expected:
            return
        never.wait(_POLL_S)
    raise OperationFailed(
        f"seaweedfs: {live} chunks of collection {collection!r} are live after "
        f"{_POLLS * _POLL_S:.0f} s, where its objects have {expected}"
    )


def vacuum(wire: Wire, collection: str) -> None:
    """Have the master vacuum all volumes with anything deleted, and return when it is done.

    The master leaves out a volume whose last heartbeat told of no deletions, so it
    is asked again until nothing deleted is left.

    Raises
    ------
    OperationFailed
        If the endpoint names no master, or deleted chunks are left after some vacuums.
    """
    master = wire.endpoint.options.get("master", "")
    if not master:
        raise OperationFailed(
            "seaweedfs vacuums by its master, and the master's address is not known here; "
            "run 'volume.vacuum -garbageThreshold 0' in 'weed shell'"
        )
    for _ in range(_VACUUMS):
        wire.get_json(f"{_address(wire, master)}/vol/vacuum?garbageThreshold=0")
        left = volumes_of(wire, collection)
        if not left.deleted_chunks:
            return
    raise OperationFailed(
        f"seaweedfs: {left.deleted_chunks} deleted chunks ({left.deleted_bytes} bytes) are left "
        f"after {_VACUUMS} vacuums; the server's log says why"
    )


def topology(wire: Wire) -> dict[str, Any]:
    """Return the master's answer to ``/dir/status``; empty where it is not known."""
    master = wire.endpoint.options.get("master", "")
    found: dict[str, Any] = wire.get_json(f"{_address(wire, master)}/dir/status") if master else {}
    return found


def _address(wire: Wire, server: str) -> str:
    """Return where a server is asked: ``http://`` where TLS is off or that is spelled out."""
    server = server.strip()
    if server.startswith(("http://", "https://")):
        return server.rstrip("/")
    return f"{'https' if Tls.of(wire.endpoint) else 'http'}://{server}"


def _sum(volumes: Iterable[dict[str, Any]], name: str) -> int:
    return sum(int(volume[name]) for volume in volumes)
