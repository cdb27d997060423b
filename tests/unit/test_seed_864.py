"""The plan of 864 stages, its scales, and what becomes of it where real data is missing."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from deduplab import config
from deduplab.bench import matrix, preflight
from deduplab.datasets import build_dataset
from deduplab.errors import DatasetError, PlanError
from deduplab.scale import parse_scale, scaled_bytes, told

TEXT = (Path(__file__).parents[2] / "plans" / "seed-864.toml").read_text()
SYSTEMS = {
    "postgresql", "cockroachdb", "redis", "kafka", "minio", "mariadb", "clickhouse", "rest",
}  # fmt: skip
SYNTHETIC = {"random_binary", "structured_json", "text_document", "uuid_keys", "jsonb_documents"}
REAL = {"nasa_image", "blender_video", "gutenberg_text", "github_events"}
SMALL = """\
name = "small"
stages = ["bulk", "insert"]
[data]
payloads = ["random_binary"]
grades = ["U0", "U90"]
logical_size = "8 MiB"
object_size = "8 KiB"
[systems.plain]
"""


def parse(text: str, scale: Fraction | int = 1) -> config.Plan:
    return config.parse(text, origin="p.toml", scale=scale)


def test_it_unfolds_into_864_stages() -> None:
    cells = matrix.cells(parse(TEXT))
    assert len(cells) == 216
    assert sum(len(cell.stages) for cell in cells) == 864
    assert len({cell.cell_id for cell in cells}) == 216
    points = Counter((cell.system, cell.bulk.payload, cell.bulk.grade_percent) for cell in cells)
    assert points == {
        (system, payload, grade): 1
        for system in SYSTEMS
        for payload in SYNTHETIC | REAL
        for grade in (0, 50, 90)
    }
    assert {cell.stages for cell in cells} == {("bulk", "insert", "delete", "reclaim")}
    assert {cell.durability for cell in cells} == {"fsync"}
    assert {len(cell.reclaim_modes) for cell in cells} == {1}, "a stage is one measurement"


@pytest.mark.parametrize(
    ("text", "scale"),
    [("10", 10), ("0.001", Fraction(1, 1000)), ("1/1000", Fraction(1, 1000)), (" 3 / 6", 0.5)],
)
def test_a_scale_is_read_exactly(text: str, scale: Fraction) -> None:
    assert parse_scale(text) == scale


@pytest.mark.parametrize("text", ["0", "-1", "1/0", "0/3", "1e3", "nan", "inf", "", "a", "1/2/3"])
def test_what_is_no_scale_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="is not a scale"):
        parse_scale(text)


def test_a_fraction_gives_whole_objects_and_a_whole_number_stays_exact() -> None:
    assert scaled_bytes(1_000_000, 8192, 3) == 3_000_000
    assert scaled_bytes(4 << 30, 8192, Fraction(1, 1000)) == (4 << 30) // 1000 // 8192 * 8192
    assert (told(Fraction(10)), told(3), told(Fraction(2, 8))) == (10, 3, "1/4")
    plan = parse(TEXT, parse_scale("0.001"))
    assert plan.dataset_bytes % plan.object_bytes == 0
    assert {cell.bulk.logical_bytes for cell in matrix.cells(plan)} == {plan.dataset_bytes}


def test_equal_scales_have_one_digest_however_they_are_written() -> None:
    assert parse(SMALL, 4).digest == parse(SMALL, Fraction(4)).digest
    assert parse(SMALL, parse_scale("0.5")).digest == parse(SMALL, parse_scale("1/2")).digest
    assert parse(SMALL, 2).digest != parse(SMALL, Fraction(1, 2)).digest
    assert [c.cell_id for c in matrix.cells(parse(SMALL, 4))] == [
        c.cell_id for c in matrix.cells(parse(SMALL.replace("8 MiB", "32 MiB")))
    ]


def test_too_small_a_scale_is_refused_with_the_smallest_that_works() -> None:
    with pytest.raises(PlanError, match=r"the scale 1/5000 is too small: .*U90") as caught:
        preflight.check(parse(SMALL, Fraction(1, 5000)))
    least = Fraction(str(caught.value).rsplit(" ", 1)[1])
    assert preflight.check(parse(SMALL, least)).left_out == {}
    with pytest.raises(PlanError, match=f"works is {least}$"):
        preflight.check(parse(SMALL, Fraction(1, least.denominator + 1)))
    # insert takes a tenth, and needs two objects for a copy: twenty objects and their rounding
    assert 20 * 8192 <= parse(SMALL, least).dataset_bytes <= 21 * 8192


def test_a_plan_that_works_at_no_scale_is_refused_for_its_own_reason() -> None:
    text = SMALL.replace('"8 KiB"', '"8 MiB"')
    with pytest.raises(PlanError, match="the data of stage") as caught:
        preflight.check(parse(text, Fraction(1, 2)))
    assert "smallest scale" not in str(caught.value)


def test_cells_without_their_real_data_are_left_out_and_the_others_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEDUPLAB_CACHE", str(tmp_path))
    found = preflight.check(parse(TEXT, Fraction(1, 4096)))
    without = [cell for cell in found.cells if cell.cell_id in found.left_out]
    assert {cell.bulk.payload for cell in without} == REAL
    assert len(without) == 4 * 8 * 3
    assert all("deduplab data fetch" in reason for reason in found.left_out.values())
    refusing = TEXT.replace('if_missing = "leave-out"', "#")
    with pytest.raises(DatasetError, match="deduplab data fetch"):
        preflight.check(parse(refusing))


def test_a_source_of_ones_own_that_is_not_there_is_missing_too(tmp_path: Path) -> None:
    text = SMALL.replace("[systems.plain]", 'if_missing = "leave-out"\n[systems.plain]')
    text = text.replace('["random_binary"]', f'["files"]\nsource = "{tmp_path / "none"}"')
    found = preflight.check(parse(text))
    assert len(found.left_out) == len(found.cells) == 6
    assert "is not there" in next(iter(found.left_out.values()))


def test_its_grades_hold_on_a_laptop() -> None:
    specs = {
        spec
        for cell in matrix.cells(parse(TEXT, Fraction(1, 1024)))
        for spec in (cell.bulk, cell.insert)
        if spec is not None and spec.payload in SYNTHETIC
    }
    assert len(specs) == 2 * 3 * len(SYNTHETIC)
    for spec in specs:
        dataset = build_dataset(spec)
        unique = len({dataset.payload(ordinal) for ordinal in range(dataset.objects)})
        copies = dataset.objects - unique
        assert copies == dataset.objects * spec.grade_percent // 100
