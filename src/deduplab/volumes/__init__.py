"""Volumes: small file systems of our own in image files, mounted over a loop device.

The noun is one fresh file system that holds nothing but one instance, so that
its own accounting says what the instance takes at the layer VOLUME. Making
one takes root, the file system's tools and the kernel's support; what is
missing is said in one sentence with what to do about it.
"""

from deduplab.volumes.direct_reads import direct_reads
from deduplab.volumes.file_systems import FILE_SYSTEMS, NONE, FileSystem, file_system, tool_version
from deduplab.volumes.mounting import mount_points, mounted, private_mounts, unmount_below
from deduplab.volumes.sharing import OPTIONS as DEDUPE_OPTIONS
from deduplab.volumes.sharing import PROGRAM as DEDUPE_PROGRAM
from deduplab.volumes.sharing import require_sharing, share_blocks

__all__ = [
    "DEDUPE_OPTIONS",
    "DEDUPE_PROGRAM",
    "FILE_SYSTEMS",
    "NONE",
    "FileSystem",
    "direct_reads",
    "file_system",
    "mount_points",
    "mounted",
    "private_mounts",
    "require_sharing",
    "share_blocks",
    "tool_version",
    "unmount_below",
]
