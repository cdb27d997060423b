import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets.corpora import nasa_image
from deduplab.datasets.corpora.blender_video import BlenderVideo
from deduplab.datasets.corpora.nasa_image import NasaImage
from deduplab.errors import DatasetError
from tests.unit.real_data import is_whole, real_files, written

PIL_IMAGE = pytest.importorskip("PIL.Image")


def images(source: Path, object_bytes: int = 4096) -> NasaImage:
    spec = DatasetSpec(
        "nasa_image",
        1 << 30,
        object_bytes,
        0,
        "none",
        source=str(source),
        sizes=SizeSpec("natural"),
    )
    return NasaImage(spec)


def test_tiles_are_the_picture() -> None:
    picture = real_files("nasa_image")[0]
    payloads = images(picture)
    with PIL_IMAGE.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    side = payloads.side
    assert side == 36
    expected: dict[bytes, None] = {}
    for top in range(0, pixels.shape[0] - side + 1, side):
        for left in range(0, pixels.shape[1] - side + 1, side):
            tile = pixels[top : top + side, left : left + side]
            expected[b"P6\n36 36\n255\n" + tile.tobytes()] = None
    tiles = written(payloads, range(payloads.found))
    assert tiles == list(expected)
    with PIL_IMAGE.open(io.BytesIO(tiles[7])) as tile:
        assert (tile.format, tile.size) == ("PPM", (36, 36))
    assert payloads.record_type.parse(tiles[7]) == (36, 36, tiles[7][13:])


@pytest.mark.parametrize("object_bytes", [208, 4096, 30_000])
def test_tiles_are_as_large_as_fit(object_bytes: int) -> None:
    payloads = images(real_files("nasa_image")[0], object_bytes)
    length = len(written(payloads, [0])[0])
    assert length <= object_bytes
    side = payloads.side + 1
    assert len(f"P6\n{side} {side}\n255\n") + 3 * side * side > object_bytes


def test_equal_tiles_are_taken_once(tmp_path: Path) -> None:
    PIL_IMAGE.new("RGB", (200, 200), (1, 2, 3)).save(tmp_path / "flat.png")
    assert images(tmp_path / "flat.png").found == 1


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_pictures_of_other_modes_become_colours(tmp_path: Path, mode: str) -> None:
    picture = PIL_IMAGE.linear_gradient("L").convert(mode)
    picture.save(tmp_path / "gradient.tif")
    tiles = images(tmp_path / "gradient.tif")
    expected = np.asarray(picture.convert("RGB"))[:36, :36].tobytes()
    assert written(tiles, [0])[0].endswith(expected)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no picture")
    with pytest.raises(DatasetError, match=r"text' can't be read: it is no whole picture"):
        images(tmp_path / "text")
    whole = real_files("nasa_image")[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"cut\.jpg' can't be read: it is no whole picture"):
        images(tmp_path / "cut.jpg")
    PIL_IMAGE.new("I;16", (100, 100)).save(tmp_path / "deep.png")
    with pytest.raises(DatasetError, match="mode I;16; convert it"):
        images(tmp_path / "deep.png")
    PIL_IMAGE.new("L", (20, 20)).save(tmp_path / "small.png")
    with pytest.raises(DatasetError, match=r"small\.png' has no tile of 36 by 36"):
        images(tmp_path / "small.png")


def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    PIL_IMAGE.new("1", (20_000, 5_000)).save(tmp_path / "huge.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DatasetError, match="20000 by 5000 pixels, more than 32000000"):
            images(tmp_path / "huge.png")


def test_a_decoder_with_other_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = real_files("nasa_image")[0]
    if not is_whole():
        content = picture.read_bytes()
        with PIL_IMAGE.open(picture) as opened:
            pixels = opened.convert("RGB").tobytes()
        pin(monkeypatch, content, hashlib.sha256(pixels).hexdigest())
    assert images(picture).found
    monkeypatch.setattr(nasa_image, "_PINNED_PIXELS", "0" * 64)
    with pytest.raises(DatasetError, match="this decoder gives other pixels"):
        images(picture)


def pin(monkeypatch: pytest.MonkeyPatch, content: bytes, pixels: str) -> None:
    monkeypatch.setattr(nasa_image, "_PINNED_PICTURE", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(nasa_image, "_PINNED_PICTURE_BYTES", len(content))
    monkeypatch.setattr(nasa_image, "_PINNED_PIXELS", pixels)


@pytest.mark.parametrize("object_bytes", [1000, 4096, 50_000])
def test_ranges_of_a_film_are_its_bytes(object_bytes: int) -> None:
    film = real_files("blender_video")[0]
    content = film.read_bytes()
    pieces = [content[at : at + object_bytes] for at in range(0, len(content), object_bytes)]
    spec = DatasetSpec("blender_video", 1 << 30, object_bytes, 0, "none", source=str(film))
    payloads = BlenderVideo(spec)
    whole = dict.fromkeys(piece for piece in pieces if len(piece) == object_bytes)
    assert written(payloads, range(payloads.found)) == list(whole)
    assert payloads.record_type.parse(pieces[0]) == (pieces[0],)
