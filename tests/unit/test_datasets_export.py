"""Datasets as files: whatever is changed afterwards, ``verify`` notices."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deduplab.batch import Batch
from deduplab.dataset_spec import DatasetSpec, SizeSpec
from deduplab.datasets import build_dataset, export
from deduplab.datasets.dataset import Dataset
from deduplab.datasets.manifest_file import MANIFEST_NAME
from deduplab.errors import DatasetError, DeduplabError, DiskSpaceError

SIZES = SizeSpec("uniform", 16, 24)
SPEC = DatasetSpec("random_binary", 40_000, 20, 50, "shuffled", placement="across", sizes=SIZES)


def no_progress(done_bytes: int) -> None:
    pass


@pytest.fixture
def made(tmp_path: Path) -> Path:
    export.write(build_dataset(SPEC), tmp_path / "made", no_progress)
    return tmp_path / "made"


def files(directory: Path) -> list[Path]:
    return sorted(path for path in (directory / "objects").rglob("*") if path.is_file())


def edit(*path: str, to: Any) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        file = directory / MANIFEST_NAME
        document = json.loads(file.read_bytes())
        inner = document
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = to
        file.write_text(json.dumps(document))

    return change


def rename_in_order(directory: Path) -> None:
    file = files(directory)[5]
    file.rename(file.with_name(f"{file.stem}a{file.suffix}"))


def rename_all(directory: Path) -> None:
    for file in files(directory):
        file.rename(file.with_name(f"p{file.name[1:]}"))


def move_to_the_folder_before(directory: Path) -> None:
    file = files(directory)[1000]
    file.rename(directory / "objects" / "00000000" / file.name)


def exchange_containers(directory: Path) -> None:
    """Give two objects of one length each other's container."""
    second = {f.stat().st_size: f for f in files(directory) if f.stem.endswith("x")}
    first = next(
        f for f in files(directory) if not f.stem.endswith("x") and f.stat().st_size in second
    )
    other = second[first.stat().st_size]
    first.rename(first.with_name(f"{first.stem}x.bin"))
    other.rename(other.with_name(f"{other.stem[:-1]}.bin"))


def exchange_contents(directory: Path) -> None:
    one, other = files(directory)[5:7]
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


CHANGES: dict[str, Callable[[Path], Any]] = {
    "exchanged": exchange_contents,
    "truncated": lambda made: files(made)[5].write_bytes(files(made)[5].read_bytes()[:-1]),
    "renamed": rename_in_order,
    "last renamed": lambda made: files(made)[-1].rename(files(made)[-1].with_name("o9.bin")),
    "all renamed": rename_all,
    "moved": move_to_the_folder_before,
    "folder renamed": lambda made: (made / "objects/00000001").rename(made / "objects/000000010"),
    "containers": exchange_containers,
    "file beside": lambda made: (made / "more").write_bytes(b""),
    "folder more": lambda made: (made / "objects/00000009").mkdir(),
    "seed": edit("manifest", "spec", "seed", to=2),
    "grade": edit("manifest", "spec", "grade_percent", to=90),
    "source": edit("manifest", "spec", "source", to="elsewhere"),
    "near": edit("manifest", "near_objects", to=5),
    "varied": edit("manifest", "varied_objects", to=5),
    "member of the manifest": edit("manifest", "more", to=5),
    "member of the document": edit("more", to=5),
    "extension": edit("extension", to=""),
    "too many objects": edit("manifest", "objects", to=10**12),
    "negative objects": edit("manifest", "objects", to=-1),
    "format": edit("format", to="deduplab dataset 1"),
    "type": edit("manifest", "objects", to="many"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_noticed(made: Path, name: str) -> None:
    assert export.verify(made, no_progress) == []
    CHANGES[name](made)
    try:
        noticed = bool(export.verify(made, no_progress))
    except DatasetError as error:
        noticed = str(made) in str(error)
    assert noticed


def test_a_directory_in_the_source_is_refused_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(bytes(range(100)))
    dataset = build_dataset(DatasetSpec("files", 100, 10, 0, "none", source=str(tmp_path)))
    for inside in (tmp_path, tmp_path / "made", tmp_path / "source" / ".." / "made"):
        with pytest.raises(DatasetError, match="lies in the source"):
            export.write(dataset, inside, no_progress)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskSpaceError), (errno.EDQUOT, DiskSpaceError), (errno.EROFS, DatasetError)],
)
def test_a_full_disk_is_told_from_another_that_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DeduplabError]
) -> None:
    def fail(self: Path, content: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(kind, match=rf"made' can't be written: {os.strerror(number)}"):
        export.write(build_dataset(SPEC), tmp_path / "made", no_progress)
    monkeypatch.undo()
    # Nothing of it is left, so the same can be said again.
    export.write(build_dataset(SPEC), tmp_path / "made", no_progress)


@pytest.mark.parametrize("reason", [KeyboardInterrupt, DatasetError])
def test_a_part_of_a_dataset_is_not_left(tmp_path: Path, reason: type[BaseException]) -> None:
    def stop(_: int) -> None:
        raise reason

    with pytest.raises(reason):
        export.write(build_dataset(SPEC), tmp_path / "made", stop)
    assert not list((tmp_path / "made").iterdir())


def test_two_that_write_at_once_leave_each_other_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "made"
    with monkeypatch.context() as patched:
        # As both see it before the first one begins.
        patched.setattr(Path, "iterdir", lambda _: iter(()))

        def second(_: int) -> None:
            with pytest.raises(DatasetError, match="another process writes"):
                export.write(build_dataset(SPEC), directory, no_progress)

        export.write(build_dataset(SPEC), directory, second)
    assert export.verify(directory, no_progress) == []


def test_other_spacing_of_the_manifest_changes_nothing(made: Path) -> None:
    file = made / MANIFEST_NAME
    file.write_text(json.dumps(json.loads(file.read_bytes())))
    assert export.verify(made, no_progress) == []


def test_data_that_changes_between_counting_and_writing_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, other = (
        build_dataset(SPEC),
        build_dataset(DatasetSpec("random_binary", 40, 20, 0, "none")),
    )
    passes = iter((dataset, other))
    original = Dataset.batches

    def batches(self: Dataset, batch_bytes: int) -> Iterator[Batch]:
        return original(next(passes), batch_bytes)

    monkeypatch.setattr(Dataset, "batches", batches)
    with pytest.raises(DatasetError, match="changed between counting and writing"):
        export.write(dataset, tmp_path / "made", no_progress)
    assert not (tmp_path / "made" / MANIFEST_NAME).exists()
