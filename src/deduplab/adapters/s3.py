"""S3 object stores: MinIO and SeaweedFS, and what each has beside S3.

What each verb issues and what the sizes include is told in docs/systems/minio.md
and docs/systems/seaweedfs.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters import _s3_minio as minio_told
from deduplab.adapters import _s3_seaweedfs as seaweedfs_told
from deduplab.adapters._embedded import now_unix_ns
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._s3_base import DEFAULT, REMOVE_NONCURRENT, VERSIONING, S3Adapter
from deduplab.errors import ProbeError
from deduplab.model import Identity, Layer, Reading, Ruler

RESTART: Final = "restart"


class MinioAdapter(S3Adapter):
    """Drives one MinIO."""

    product: ClassVar[str] = "minio"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(
            DEFAULT,
            Variant("compression", "every object of 4 KiB and more compressed alone (S2)"),
            VERSIONING,
        ),
        layouts=LAYOUTS,
        durability=("fsync", "interval"),
        delete_modes=("rowwise", "drop"),
        reclaim_modes=(RESTART, REMOVE_NONCURRENT),
    )
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        (".minio.sys/tmp/.trash/*", "trash"),
        (".minio.sys/tmp/*", "temporary"),
        (".minio.sys/*", "metadata"),
        ("*", "data"),
    )

    def reclaim(self, mode: str) -> None:
        """Remove old versions, or restart the server, which empties its trash."""
        super().reclaim(mode)
        if mode == RESTART:
            minio_told.restart(self._wire)
            self._objects = self._wire.objects(self._entered)

    def engine_reading(self) -> Reading:
        """Refuse: MinIO has no size of a bucket for a moment.

        Raises
        ------
        ProbeError
            Always, with the reason.
        """
        raise ProbeError(
            "minio counts a bucket's bytes when its scanner has gone round (minutes later), "
            "and then as the sum of the objects' lengths; for its drives it tells the use of the "
            "whole file system"
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return whether old versions are being expired, and drives being healed."""
        info = minio_told.server_info(self._wire)
        drives = [drive for server in info["servers"] for drive in server.get("drives") or ()]
        return {
            "expiring": sum(bool(one.get("ilm_expiry_in_progress")) for one in info["servers"]),
            "healing": sum(bool(drive.get("healing")) for drive in drives),
        }

    def _check_settings(self, variant: str, durability: str) -> None:
        info = minio_told.server_info(self._wire)
        minio_told.check(info, variant=variant, durability=durability)

    def _identity(self) -> Identity:
        info = minio_told.server_info(self._wire)
        server = info["servers"][0]
        return Identity(
            product=self.product,
            version=str(server.get("version", "unknown")),
            instance=str(info.get("deploymentID")),
            configuration=minio_told.settings(info),
        )


class SeaweedfsAdapter(S3Adapter):
    """Drives one SeaweedFS by its S3 gateway, master and volume servers."""

    product: ClassVar[str] = "seaweedfs"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(DEFAULT, VERSIONING),
        layouts=LAYOUTS,
        durability=("none",),
        delete_modes=("rowwise", "drop"),
        reclaim_modes=("vacuum", REMOVE_NONCURRENT),
    )
    remote_options: ClassVar[Mapping[str, str]] = {
        **S3Adapter.remote_options,
        "master": "the master server, host:port; needed for vacuum and identity",
        "volumes": "the volume servers, host:port with commas between; needed for sizes",
    }
    file_components: ClassVar[tuple[tuple[str, str], ...]] = (
        ("*.dat", "data"),
        ("*.idx", "index"),
        ("*.cp?", "temporary"),
        ("*", "metadata"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._expected_chunks: int | None = None

    def reclaim(self, mode: str) -> None:
        """Remove old versions if that is asked, then vacuum what was deleted, and wait."""
        super().reclaim(mode)
        seaweedfs_told.wait_for_deletions(self._wire, self._entered, self._chunks_due())
        seaweedfs_told.vacuum(self._wire, self._entered)

    def engine_reading(self) -> Reading:
        """Return the contents of the bucket's volumes, live and deleted.

        Chunk headers, checksums and padding (about 36 bytes a chunk), the
        indexes of the volumes and the filer's names are not included.
        """
        found = seaweedfs_told.volumes_of(self._wire, self._entered)
        deleted_bytes = min(found.deleted_bytes, found.content_bytes)
        return Reading(
            layer=Layer.ENGINE,
            ruler=Ruler.REPORTED,
            total_bytes=found.content_bytes,
            source=f"/status of the volume servers: {found.number} volumes of the bucket",
            at_unix_ns=now_unix_ns(),
            components={"data": found.content_bytes - deleted_bytes, "deleted": deleted_bytes},
        )

    def idle_signals(self) -> Mapping[str, int]:
        """Return how many chunks of deleted objects are still to be deleted in the volumes."""
        try:
            live = seaweedfs_told.volumes_of(self._wire, self._entered).live_chunks
        except ProbeError:
            return {}
        return {"chunks_to_delete": max(0, live - self._chunks_due())}

    def entered(self) -> object | None:
        """Return the namespace, whose volumes have counters."""
        return self._namespace

    def counters(self) -> Mapping[str, int]:
        """Return contents and chunks of the bucket's volumes."""
        try:
            found = seaweedfs_told.volumes_of(self._wire, self._entered)
        except ProbeError:
            return {}
        return {
            "content_bytes": found.content_bytes,
            "deleted_bytes": found.deleted_bytes,
            "chunks": found.chunks,
            "deleted_chunks": found.deleted_chunks,
        }

    def _changed(self) -> None:
        self._expected_chunks = None

    def _chunks_due(self) -> int:
        """Return how many chunks the objects need, listed anew only after a change."""
        if self._expected_chunks is None:
            if self._is_versioned:
                found = self._wire.versions(self._entered)
                lengths = (int(each.size or 0) for each in found if not each.is_delete_marker)
            else:
                lengths = (int(each["size"]) for each in self._listed())
            self._expected_chunks = seaweedfs_told.expected_chunks(lengths)
        return self._expected_chunks

    def _identity(self) -> Identity:
        wire = self._wire
        found = seaweedfs_told.topology(wire)
        return Identity(
            product=self.product,
            version=str(found.get("Version", "unknown")),
            instance=str(found.get("TopologyId", wire.address)),
            configuration={},
        )
