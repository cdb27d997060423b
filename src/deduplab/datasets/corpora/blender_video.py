"""The family ``blender_video``: byte ranges of Blender's open movies, as they are encoded."""

from __future__ import annotations

from deduplab.datasets.files import FilePieces
from deduplab.datasets.record_types import content_record


class BlenderVideo(FilePieces):
    """Payload ``id`` is the id-th distinct range of ``object_bytes`` of the film.

    Encoded video hardly compresses. A last range that is shorter is left out.
    Natural sizes are the same: a film has no others.
    """

    record_type = content_record("blender_video", "application/octet-stream")
