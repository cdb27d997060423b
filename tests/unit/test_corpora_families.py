"""What holds for every family of real data."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets import build_dataset, origins, prove
from deduplab.datasets.corpora.blender_video import BlenderVideo
from deduplab.datasets.corpora.github_events import GithubEvents
from deduplab.datasets.corpora.gutenberg_text import GutenbergText
from deduplab.datasets.corpora.nasa_image import NasaImage
from deduplab.datasets.real_payloads import RealPayloads
from deduplab.errors import DatasetError, PlanError
from tests.unit.real_data import fill_cache, is_whole, real_files, written

FAMILIES: dict[str, type[RealPayloads]] = {
    "nasa_image": NasaImage,
    "blender_video": BlenderVideo,
    "gutenberg_text": GutenbergText,
    "github_events": GithubEvents,
}
SPECS = [(family, kind) for family in FAMILIES for kind in ("fixed", "natural")]
# BLAKE2 of all payloads of 4 KiB of the excerpts; a picture's pixels depend on the decoder.
DIGESTS = {
    ("blender_video", "fixed"): "7b26187f421c5feb72e51ee0d926b832",
    ("gutenberg_text", "fixed"): "eec370bc77e4896d3e3b3629d710c13d",
    ("gutenberg_text", "natural"): "05ddee8e05735566c7df0d91adb5bb90",
    ("github_events", "natural"): "8be70d805ca802a9095d8728c162216f",
}


def made(family: str, kind: str = "natural", **changes: object) -> RealPayloads:
    settings: dict[str, object] = {"logical_bytes": 1 << 30, "object_bytes": 4096, **changes}
    spec = DatasetSpec(
        family,
        grade_percent=0,
        distance="none",
        sizes=SizeSpec(kind),
        **settings,  # type: ignore[arg-type]
    )
    return FAMILIES[family](spec)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEDUPLAB_CACHE", str(folder))
    for family in FAMILIES:
        fill_cache(family, folder)
    return folder


@pytest.mark.parametrize(("family", "kind"), SPECS)
def test_objects_are_distinct_and_records(family: str, kind: str) -> None:
    payloads = made(family, kind)
    assert payloads.available == payloads.found > 10
    objects = written(payloads, range(payloads.found))
    assert len(set(objects)) == len(objects)
    assert sum(map(len, objects)) == payloads.available_bytes
    record_type = payloads.record_type
    assert record_type.name == family
    for content in objects:
        record = record_type.parse(content)
        assert len(record) == len(record_type.fields)
        assert record_type.serialise(record) == content
    assert payloads.varied(payloads.found) == 0


@pytest.mark.parametrize(("family", "kind"), SPECS)
def test_any_order_gives_the_same_bytes(family: str, kind: str) -> None:
    payloads = made(family, kind, vary=True)
    objects = written(payloads, range(3 * payloads.found))
    order = random.Random(3).choices(range(len(objects)), k=200)
    assert written(payloads, order) == [objects[one] for one in order]
    assert written(payloads, [5]) == [objects[5]]


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_lengths_only_where_they_are_promised(family: str) -> None:
    fixed = made(family, "fixed")
    lengths = {len(content) for content in written(fixed, range(fixed.found))}
    assert (lengths == {4096}) == (not fixed.natural_sizes)
    assert fixed.natural_sizes == (family in ("nasa_image", "github_events"))
    assert made(family, "natural").natural_sizes


@pytest.mark.parametrize(("family", "kind"), SPECS)
def test_variations_are_marked_and_have_no_end(family: str, kind: str) -> None:
    payloads = made(family, kind, vary=True)
    assert payloads.available is None
    found = payloads.found
    assert payloads.varied(found + 7) == 7
    objects = written(payloads, range(4 * found))
    assert len(set(objects)) == len(objects)
    far = written(payloads, [10**11])[0]
    assert far not in objects
    record_type = payloads.record_type
    for number, content in enumerate([*objects[found:], far], start=1):
        assert record_type.serialise(record_type.parse(content)) == content
        base = objects[(number - 1) % found] if content is not far else objects[10**11 % found]
        shown = number if content is not far else 10**11 - found + 1
        mark = re.search(rb"edit *1\.%012d" % shown, content)
        assert mark is not None
        start, stop = changed_part(base, content)
        assert stop - start <= 40
        assert start - 10 <= mark.start() < stop + 1


def changed_part(base: bytes, content: bytes) -> tuple[int, int]:
    """Return the part of ``content`` between the beginning and the end that both share."""
    shorter = min(len(base), len(content))
    start = next((at for at in range(shorter) if base[at] != content[at]), shorter)
    same = range(1, shorter - start + 1)
    behind = next((at - 1 for at in same if base[-at] != content[-at]), shorter - start)
    return start, len(content) - behind


def test_variations_of_other_seeds_are_others() -> None:
    one = made("gutenberg_text", vary=True, seed=1)
    two = made("gutenberg_text", vary=True, seed=2)
    later = range(one.found, 2 * one.found)
    assert not set(written(one, later)) & set(written(two, later))
    assert written(one, range(one.found)) == written(two, range(two.found))


@pytest.mark.skipif(is_whole(), reason="the digests are those of the excerpts")
@pytest.mark.parametrize(("family", "kind"), DIGESTS)
def test_bytes_are_the_same_in_every_process(family: str, kind: str) -> None:
    program = f"""
import hashlib
from tests.unit.test_corpora_families import made, written
payloads = made({family!r}, {kind!r}, vary=True)
digest = hashlib.blake2b(digest_size=16)
for content in written(payloads, range(2 * payloads.found)):
    digest.update(len(content).to_bytes(8) + content)
print(digest.hexdigest())
"""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, timeout=60, check=True
    )
    assert ended.stdout.decode().strip() == DIGESTS[family, kind]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_more_is_indexed_than_is_needed(family: str) -> None:
    whole = made(family)
    some = made(family, logical_bytes=10_000)
    assert 10_000 <= some.available_bytes < 10_000 + 64 * 1024
    assert written(some, range(some.found)) == written(whole, range(some.found))
    more = made(family, logical_bytes=10_000, skip_bytes=20_000)
    assert more.available_bytes >= 30_000


def test_without_data_the_command_is_named(cache: Path) -> None:
    for file in real_files("nasa_image"):
        (cache / "data" / "nasa_image" / file.name).unlink()
    with pytest.raises(DatasetError, match="deduplab data fetch nasa_image"):
        made("nasa_image")


def test_a_source_is_taken_instead(tmp_path: Path) -> None:
    own = tmp_path / "film"
    own.write_bytes(random.Random(1).randbytes(3 * 4096 + 5))
    payloads = made("blender_video", source=str(own))
    assert written(payloads, range(payloads.found)) == [
        own.read_bytes()[at : at + 4096] for at in (0, 4096, 8192)
    ]


def test_the_first_complete_kind_is_taken(cache: Path) -> None:
    books = [one for one in origins.origins_of("gutenberg_text") if one.package is None]
    packaged = origins.cached("gutenberg_text")
    assert [path.name for path in packaged] == ["persuasion.txt", "prideprejudice.txt"]
    folder = cache / "data" / "gutenberg_text"
    for book in books[:-1]:
        (folder / book.file_name).write_text("a book")
    assert origins.cached("gutenberg_text") == packaged
    (folder / books[-1].file_name).write_text("a book")
    assert origins.cached("gutenberg_text") == [folder / book.file_name for book in books]


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_that_real_data_has_not_are_refused(family: str) -> None:
    spec = DatasetSpec(family, 10_000, 100, 0, "none", sizes=SizeSpec("uniform", 50, 150))
    with pytest.raises(PlanError, match="takes no uniform sizes"):
        FAMILIES[family](spec)


@pytest.mark.parametrize("family", ["nasa_image", "gutenberg_text"])
@pytest.mark.parametrize("kind", ["fixed", "natural"])
def test_too_small_objects_are_refused(family: str, kind: str) -> None:
    with pytest.raises(PlanError, match="at least"):
        made(family, kind, object_bytes=20)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_source_is_refused(family: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DatasetError, match=r"empty' has no "):
        made(family, source=str(empty))
    with pytest.raises(DatasetError, match=r"nothing' can't be read: No such file"):
        made(family, source=str(tmp_path / "nothing"))


def test_marks_in_the_source_are_left_out(tmp_path: Path) -> None:
    noise = random.Random(1)
    plain, marked = (
        noise.randbytes(4096),
        noise.randbytes(2000) + b"[edit 1" + noise.randbytes(2089),
    )
    (tmp_path / "film").write_bytes(plain + marked)
    source = str(tmp_path / "film")
    assert made("blender_video", source=source, vary=True).found == 1
    assert made("blender_video", source=source).found == 2


@pytest.mark.parametrize(("family", "kind"), SPECS)
@pytest.mark.parametrize("grade", [0, 50])
def test_a_dataset_of_it_has_its_grade(family: str, kind: str, grade: int) -> None:
    payloads = made(family, kind, vary=True)
    spec = DatasetSpec(
        family,
        3 * payloads.available_bytes,
        4096,
        grade,
        "shuffled" if grade else "none",
        sizes=SizeSpec(kind),
        vary=True,
    )
    dataset = build_dataset(spec)
    contents = [bytes(one) for batch in dataset.batches(100_000) for one in batch.payloads]
    distinct = set(contents)
    copied_bytes = sum(map(len, contents)) - sum(map(len, distinct))
    longest = max(map(len, contents))
    assert abs(copied_bytes - sum(map(len, contents)) * grade / 100) <= longest
    manifest = prove(dataset)
    assert (manifest.objects, manifest.unique_objects) == (len(contents), len(distinct))
    own = set(written(payloads, range(payloads.found)))
    assert manifest.varied_objects == len(distinct - own) > 0


def test_too_small_a_corpus_says_how_much_there_is() -> None:
    own = made("blender_video").available_bytes
    spec = DatasetSpec("blender_video", own + 4096, 4096, 0, "none")
    with pytest.raises(DatasetError, match=rf"blender_video has {own} unique bytes .*vary = true"):
        build_dataset(spec)
