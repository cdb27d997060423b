"""The family ``nasa_image``: square tiles of pictures, uncompressed.

A tile is a Portable Pixmap (P6): a header of three lines, then red, green and
blue, a byte each, row by row; the format has neither compression nor metadata.
A lossless picture (PNG, TIFF) gives the same pixels in every decoder. A JPEG
does not have to: the standard leaves decoders some freedom. So the pixels of
the picture that has a pinned SHA-256 are pinned too, and a decoder that gives others is refused;
pictures of your own give the same bytes as long as the decoder stays the same.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import warnings
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, cast

from deduplab.datasets.real_payloads import RealPayloads
from deduplab.datasets.source_files import SourceFile, opened, regular_files, unreadable
from deduplab.errors import DatasetError
from deduplab.record import Field, FieldType, Record, RecordType

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_HEADER: Final = re.compile(rb"P6\n(\d+) (\d+)\n255\n")
_LEAST_SIDE: Final = 8
_MOST_PIXELS: Final = 32_000_000
# Colours of 8 bits, or fewer.
_MODES: Final = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"))
# SHA-256 of a picture in the catalogue, and of its pixels as libjpeg-turbo decodes them.
_PINNED_PICTURE: Final = "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4"
_PINNED_PICTURE_BYTES: Final = 527_940
_PINNED_PIXELS: Final = "9a3ea9548188f81e63435188456e74de45a981ebeb791e265abe79a26d3b528b"


def _parse(payload: bytes) -> Record:
    header = _HEADER.match(payload)
    if header is None:
        raise DatasetError("this is no tile: it does not begin as a portable pixmap does")
    return (int(header[1]), int(header[2]), payload[header.end() :])


def _serialise(record: Record) -> bytes:
    width, height, pixels = record
    return _header(cast("int", width), cast("int", height)) + bytes(cast("bytes", pixels))


def _header(width: int, height: int) -> bytes:
    return b"P6\n%d %d\n255\n" % (width, height)


class NasaImage(RealPayloads):
    """Payload ``id`` is the id-th distinct tile, row by row from the top left corner.

    Tiles are as large as fit into ``object_bytes``, with equal sides; what does not
    fill a tile at the right and the bottom is left out. A picture has at most
    32 million pixels; it is decoded once, and its tiles are kept in a spool.

    Raises
    ------
    DatasetError
        If Pillow is not installed, a file is no picture of 8 bits a colour, or
        is too large, or decodes to other pixels than it has to.
    """

    record_type = RecordType(
        "nasa_image",
        (
            Field("width", FieldType.INTEGER),
            Field("height", FieldType.INTEGER),
            Field("pixels", FieldType.BYTES),
        ),
        "image/x-portable-pixmap",
        _parse,
        _serialise,
    )
    least_object_bytes: ClassVar[int] = len(_header(8, 8)) + 3 * _LEAST_SIDE**2

    @property
    def side(self) -> int:
        """The length of a tile's side in pixels."""
        side = math.isqrt(self.spec.object_bytes // 3)
        while len(_header(side, side)) + 3 * side * side > self.spec.object_bytes:
            side -= 1
        return side

    def _index(self) -> None:
        self._fixed_head_bytes = len(_header(self.side, self.side))
        for source in self._sources:
            for path in regular_files(source):
                with opened(path) as descriptor:
                    file = SourceFile.of(path, descriptor)
                    for tile in self._tiles(path, descriptor):
                        if self.spec.vary and not self._bears_marks(tile):
                            continue
                        self._offer_data(tile)
                        if self._enough:
                            return
                    file.check(descriptor)

    def _tiles(self, path: bytes, descriptor: int) -> Iterator[bytes]:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            picture = _decoded(path, file)
        side, header = self.side, _header(self.side, self.side)
        for top in range(0, picture.height - side + 1, side):
            for left in range(0, picture.width - side + 1, side):
                tile = picture.crop((left, top, left + side, top + side))
                yield header + tile.tobytes()

    def _nothing(self) -> str:
        return f"has no tile of {self.side} by {self.side} pixels; take smaller objects"


def _decoded(path: bytes, file: IO[bytes]) -> Picture:
    """Return a picture in red, green and blue."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DatasetError(
            "pictures need Pillow; install it with: pip install 'deduplab[data]'"
        ) from error
    name = os.fsdecode(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture: Any = Image.open(file)
            if picture.width * picture.height > _MOST_PIXELS:
                raise DatasetError(
                    f"source {name!r} has {picture.width} by {picture.height} pixels, more than "
                    f"{_MOST_PIXELS}; cut it first"
                )
            if picture.mode not in _MODES:
                raise DatasetError(
                    f"source {name!r} is a picture of mode {picture.mode}; convert it to 8 bits "
                    "a colour"
                )
            decoded: Picture = picture if picture.mode == "RGB" else picture.convert("RGB")
            decoded.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise unreadable(path, ValueError(f"it is no whole picture ({error})")) from error
    _check_pixels(name, file, decoded)
    return decoded


def _check_pixels(name: str, file: IO[bytes], picture: Picture) -> None:
    """Refuse a decoder that gives other pixels of a pinned file."""
    if file.seek(0, os.SEEK_END) != _PINNED_PICTURE_BYTES:
        return
    file.seek(0)
    if hashlib.sha256(file.read()).hexdigest() != _PINNED_PICTURE:
        return
    if hashlib.sha256(picture.tobytes()).hexdigest() != _PINNED_PIXELS:
        raise DatasetError(
            f"this decoder gives other pixels of {name!r} than those that are pinned, so results "
            "would not compare; install Pillow as a wheel: pip install --force-reinstall pillow"
        )
