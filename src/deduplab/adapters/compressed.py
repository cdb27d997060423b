"""The reference store ``compressed``: each object compressed alone, so a copy costs the same."""

from __future__ import annotations

from typing import ClassVar, Final

import zstandard

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._mirrors import MOST_REPLICAS, MirroredAdapter
from deduplab.adapters._reference import REFERENCE_COMPONENTS, Buffer

_LEVEL: Final = 3
_COMPRESSED: Final = ".zst"
_RAW: Final = ".raw"


class CompressedAdapter(MirroredAdapter):
    """Stores each payload in a file of its own, as a zstd frame (level 3) where that is shorter.

    Known answer: unique cost below 1 for compressible payloads and 1 for
    random ones (they are kept raw), deduplication efficiency 0. The ending of
    the file's name tells the encoding, so a raw object is not a byte longer.
    """

    product = "compressed"
    suffixes = (_COMPRESSED, _RAW)
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(Variant("default", "zstd level 3, each object alone"),),
        layouts=LAYOUTS,
        delete_modes=("rowwise", "truncate", "drop"),
        background_work=False,
        most_replicas=MOST_REPLICAS,
    )
    file_components = REFERENCE_COMPONENTS

    def __init__(self) -> None:
        super().__init__()
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()

    def _configuration(self) -> dict[str, str]:
        version = ".".join(map(str, zstandard.ZSTD_VERSION))
        return {"zstd": version, "zstd_level": str(_LEVEL)}

    def _encode(self, payload: Buffer) -> tuple[str, Buffer]:
        content = self._compressor.compress(payload)
        return (_COMPRESSED, content) if len(content) < len(payload) else (_RAW, payload)

    def _decode(self, suffix: str, content: bytes) -> bytes:
        return self._decompressor.decompress(content) if suffix == _COMPRESSED else content
