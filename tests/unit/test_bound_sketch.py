import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from deduplab.bound.grains import ALL_GRAINS, WHOLE
from deduplab.bound.results import Distances, ScanResult
from deduplab.bound.scan import ScanSettings, scan, scan_sources
from deduplab.bound.sketch import Sketch, compare, merge
from deduplab.bound.sketch_file import from_bytes, to_bytes
from deduplab.bound.stream import LeftOut
from deduplab.errors import PlanError, StoreError
from tests.unit.bound_memory import MemorySource, expected

RNG = np.random.default_rng(21)
POOL = RNG.bytes(400_000)
NO_DISTANCES = Distances(0, None, [])
OBJECTS = [POOL[start : start + length] for start, length in RNG.integers(0, 200_000, (30, 2))] * 2
OBJECTS += [number.tobytes() for number in RNG.integers(0, 100, 400)]
EVERYTHING = ScanSettings()
ROUGHLY = ScanSettings(sample=1 / 4)


def without_distances(result: ScanResult) -> object:
    streams = {
        name: [grain._replace(distances=NO_DISTANCES) for grain in stream.grains]
        for name, stream in result.streams.items()
    }
    return streams, result.objects, result.logical_bytes


@pytest.mark.parametrize("asked", [EVERYTHING, ROUGHLY])
def test_a_file_holds_all_of_a_sketch(tmp_path: Path, asked: ScanSettings) -> None:
    source = MemorySource(OBJECTS, left_out=[LeftOut("gone", "it was removed")])
    columns = MemorySource([b"x", b"x"], stream="column")
    sketch = scan_sources([source, columns], asked)
    sketch.save(tmp_path / "one.sketch")
    loaded = Sketch.load(tmp_path / "one.sketch")
    assert loaded.result() == sketch.result()
    assert [path.name for path in tmp_path.iterdir()] == ["one.sketch"]
    assert to_bytes(loaded) == to_bytes(sketch)
    assert loaded.result().left_out == [LeftOut("gone", "it was removed")]
    assert msgspec.json.decode(msgspec.json.encode(sketch.result()), type=ScanResult)


@pytest.mark.parametrize("asked", [EVERYTHING, ROUGHLY])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_merged_shards_are_the_whole(asked: ScanSettings, parts: int) -> None:
    whole = scan(MemorySource(OBJECTS), asked)
    merged = merge([scan(one, asked) for one in MemorySource(OBJECTS).shards(parts)])
    assert without_distances(merged.result()) == without_distances(whole.result())
    assert merged.result().shards == parts


def test_distances_of_merged_shards_are_those_within_each() -> None:
    objects = [b"one", b"one", b"two", b"two", b"one"]
    shards = [MemorySource(objects[:3]), MemorySource(objects[3:])]
    merged = merge([scan(one, ScanSettings((WHOLE,))) for one in shards])
    distances = merged.result().grains[0].distances
    assert (distances.copies, distances.median_bytes) == (1, 0)


def test_streams_that_only_one_shard_has_are_kept() -> None:
    one = scan(MemorySource([b"a"], stream="left"), EVERYTHING)
    two = scan(MemorySource([b"b"], stream="right"), EVERYTHING)
    assert list(merge([one, two]).streams) == ["left", "right"]


def test_an_exact_and_a_sampled_sketch_give_a_sampled_one() -> None:
    exact, sampled = scan(MemorySource(OBJECTS), EVERYTHING), scan(MemorySource(OBJECTS), ROUGHLY)
    twice = merge([sampled, sampled])
    mixed = merge([exact, sampled])
    assert without_distances(mixed.result()) == without_distances(twice.result())
    assert mixed.result().sampled


def test_what_cannot_be_merged_is_refused() -> None:
    one = scan(MemorySource(OBJECTS), ScanSettings((WHOLE,)))
    two = scan(MemorySource(OBJECTS), ScanSettings((WHOLE, "cdc-4096")))
    with pytest.raises(PlanError, match="same grains"):
        merge([one, two])
    with pytest.raises(PlanError, match="at least one"):
        merge([])


def test_a_comparison_finds_what_is_shared() -> None:
    first, second = [POOL[:300_000], b"left"], [POOL[100:200_100], b"right", b"left"]
    found = compare(scan(MemorySource(first), EVERYTHING), scan(MemorySource(second), EVERYTHING))
    assert [one.grain for one in found.streams[""]] == list(ALL_GRAINS)
    for one in found.streams[""]:
        left, right = expected(first, one.grain), expected(second, one.grain)
        common = left.lengths.keys() & right.lengths.keys()
        assert one.first_unique_bytes == left.unique_bytes
        assert one.second_unique_bytes == right.unique_bytes
        assert one.shared_chunks == len(common)
        assert one.shared_bytes == sum(left.lengths[mark] for mark in common)
        assert (one.p, one.relative_standard_error) == (1.0, 0.0)
    shared = {one.grain: one.shared_bytes for one in found.streams[""]}
    assert shared["cdc-4096"] > 180_000
    assert shared["fixed-4096"] == 4


def test_a_comparison_of_samples_is_estimated() -> None:
    numbers = [number.tobytes() for number in RNG.permutation(40_000)]
    asked = ScanSettings((WHOLE,), sample=1 / 4, compress=False)
    first = scan(MemorySource(numbers[:30_000]), asked)
    second = scan(MemorySource(numbers[10_000:]), ScanSettings((WHOLE,), compress=False))
    (one,) = compare(first, second).streams[""]
    assert one.p == 0.25
    assert one.shared_bytes == pytest.approx(8 * 20_000, rel=0.05)
    assert one.relative_standard_error == pytest.approx((0.75 / (one.shared_chunks / 4)) ** 0.5)
    with pytest.raises(PlanError, match="in common"):
        compare(first, scan(MemorySource([b"x"], stream="other"), asked))


SMALL = to_bytes(scan(MemorySource(OBJECTS[:3] + OBJECTS[-20:]), ScanSettings((WHOLE, "cdc-4096"))))
PREFIX = struct.Struct("<8sIIQ")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_is_one_clear_error(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SMALL) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "more", "put"]))
    if kind == "flip":
        broken = SMALL[:place] + bytes([SMALL[place] ^ 0x10]) + SMALL[place + 1 :]
    elif kind == "cut":
        broken = SMALL[:place]
    elif kind == "more":
        broken = SMALL[:place] + data.draw(st.binary(min_size=1, max_size=40)) + SMALL[place:]
    else:
        junk = data.draw(st.binary(min_size=4, max_size=40))
        broken = SMALL[:place] + junk + SMALL[place + len(junk) :]
    if broken != SMALL:
        with pytest.raises(StoreError, match=r"file\.sketch"):
            from_bytes(broken, "file.sketch")


def signed(header: dict[str, Any], columns: bytes) -> bytes:
    """Return a file with a right check sum, whatever it says."""
    encoded = msgspec.json.encode(header)
    content = PREFIX.pack(SMALL[:8], 2, len(encoded), len(columns)) + encoded + columns
    return content + blake3(content).digest()


def parts_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    _, _, header, columns = PREFIX.unpack(content[: PREFIX.size])
    start = PREFIX.size + header
    return msgspec.json.decode(content[PREFIX.size : start]), content[start : start + columns]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_forged_file_is_refused_or_makes_sense(data: st.DataObject) -> None:
    header, columns = parts_of(SMALL)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(columns) // 8 - 1)) * 8
        value = data.draw(st.sampled_from([0, 1, 2**53, 2**53 + 1, 2**63, 2**64 - 1]))
        columns = columns[:place] + struct.pack("<Q", value) + columns[place + 8 :]
    else:
        tally = data.draw(st.sampled_from(header["tallies"]))
        key = data.draw(st.sampled_from(sorted(tally)))
        tally[key] = data.draw(
            st.one_of(st.none(), st.integers(-1, 2**53 + 1), st.text(max_size=3))
        )
    try:
        sketch = from_bytes(signed(header, columns), "file.sketch")
    except StoreError:
        return
    for grain in sketch.result().grains:
        assert grain.unique_bytes <= grain.logical_bytes
        assert grain.unique_chunks <= grain.chunks
    merge([sketch, sketch]).result()


def forged(change: Callable[[dict[str, Any]], object]) -> bytes:
    header, columns = parts_of(SMALL)
    change(header)
    return signed(header, columns)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["tallies"][0].update(rows=2**40),
        lambda header: header["tallies"][0].update(rows=1),
        lambda header: header["tallies"][0].update(chunks=1),
        lambda header: header["tallies"][0].update(halvings=3),
        lambda header: header["streams"].append(header["streams"][0]),
        lambda header: header["streams"][0].update(logical_bytes=1),
        lambda header: header["streams"][0]["grains"].update(whole=7),
        lambda header: header["streams"][0]["grains"].update(other=0),
        lambda header: header.update(more=1),
        lambda header: header["tallies"].pop(),
    ],
)
def test_a_forged_header_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(StoreError, match=r"file\.sketch: the sketch is damaged"):
        from_bytes(forged(change), "file.sketch")


def test_a_header_that_is_not_text_is_refused() -> None:
    content = PREFIX.pack(SMALL[:8], 2, 2, 0) + b"\x80{"
    with pytest.raises(StoreError, match=r"file\.sketch: the sketch is damaged"):
        from_bytes(content + blake3(content).digest(), "file.sketch")


def test_errors_of_files_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "some.sketch"
    with pytest.raises(StoreError, match="No such file"):
        Sketch.load(path)
    path.write_bytes(b"something else entirely, and long enough")
    with pytest.raises(StoreError, match="not a sketch"):
        Sketch.load(path)
    path.write_bytes(SMALL[:-1])
    with pytest.raises(StoreError, match="copy it again"):
        Sketch.load(path)
    path.write_bytes(PREFIX.pack(SMALL[:8], 2, 2**32 - 1, 2**64 - 8))
    with pytest.raises(StoreError, match="damaged"):
        Sketch.load(path)
    path.write_bytes(SMALL[:8] + struct.pack("<I", 3) + SMALL[12:])
    with pytest.raises(StoreError, match="version 3"):
        Sketch.load(path)
    with pytest.raises(StoreError, match="can't be written"):
        from_bytes(SMALL, "").save(tmp_path / "nowhere" / "x")


def test_only_a_file_is_replaced_by_a_sketch(tmp_path: Path) -> None:
    device, folder = tmp_path / "device", tmp_path / "folder"
    os.mkfifo(device)
    folder.mkdir()
    for place in (device, folder, Path()):
        with pytest.raises(StoreError, match="no regular file"):
            from_bytes(SMALL, "").save(place)
    assert device.is_fifo()
    (tmp_path / "link").symlink_to("kept")
    from_bytes(SMALL, "").save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept").read_bytes() == to_bytes(Sketch.load(tmp_path / "link"))
    assert {path.name for path in tmp_path.iterdir()} == {"device", "folder", "link", "kept"}


def test_why_a_sketch_is_not_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *arguments: object, **more: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for name in ("open", "unlink"):
        monkeypatch.setattr(Path, name, refused)
    with pytest.raises(StoreError, match="Permission denied"):
        from_bytes(SMALL, "").save(tmp_path / "x")
