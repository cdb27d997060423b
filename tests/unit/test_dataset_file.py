import json
from pathlib import Path
from typing import Any

import pytest

from deduplab import config, dataset_file
from deduplab.bench import matrix
from deduplab.dataset_spec import CopySpec, DatasetSpec, SizeSpec
from deduplab.errors import PlanError

LEAST = """
payload = "random_binary"
logical_size = "1 MiB"
object_size = "4 KiB"
"""


def loaded(tmp_path: Path, text: str) -> DatasetSpec:
    path = tmp_path / "d.toml"
    path.write_text(text)
    return dataset_file.load(path)


def test_three_keys_are_enough(tmp_path: Path) -> None:
    assert loaded(tmp_path, LEAST) == DatasetSpec("random_binary", 2**20, 4096, 0, "none")


def test_every_key_arrives(tmp_path: Path) -> None:
    text = """
    payload = "structured_json"
    logical_size = "1 MiB"
    object_size = { kind = "lognormal", median = 4096, sigma = 0.5, least = 1024, most = 9216 }
    grade = "37 %"
    distance = ["4 KiB", "1 MiB"]
    placement = "across"
    multiplicity = [[2, 10], [3, 4]]
    seed = 7
    key_prefix = "k"
    compressibility = "60 %"
    copies = { form = "edited", edits = 3, edit_size = "16 B", kinds = ["insert", "delete"] }
    """
    assert loaded(tmp_path, text) == DatasetSpec(
        "structured_json",
        2**20,
        4096,
        37,
        (4096, 2**20),
        placement="across",
        seed=7,
        key_prefix="k",
        sizes=SizeSpec("lognormal", 1024, 9216, 0.5),
        multiplicity=((2, 10), (3, 4)),
        compressibility_percent=60,
        copies=CopySpec("edited", 3, 16, ("insert", "delete")),
    )


def test_a_histogram_comes_from_the_output_of_a_scan(tmp_path: Path) -> None:
    grains = [{"grain": "whole", "copies": [[1, 50], [2, 10]]}, {"grain": "fixed-4096"}]
    (tmp_path / "scan.json").write_text(json.dumps({"grains": grains}))
    text = LEAST + 'grade = "U50"\nmultiplicity = "scan.json"\n'
    assert loaded(tmp_path, text).multiplicity == ((1, 50), (2, 10))
    (tmp_path / "scan.json").write_text("{}")
    with pytest.raises(PlanError, match="no histogram of copies of whole objects"):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LEAST.replace("random_binary", "random_binry"), r"d.toml:2: .*did you mean"),
        (LEAST + 'grade = "U100"', "between 0 and 99"),
        (LEAST + 'distnce = "adjacent"', "did you mean 'distance'"),
        (LEAST + 'distance = "near"', "unknown distance 'near'"),
        (LEAST + 'multiplicity = "often"', "unknown multiplicity 'often'"),
        (LEAST + "multiplicity = [[2]]", r"not a pair \[occurrences, payloads\]"),
        (LEAST + 'multiplicity = "none.json"', "can't be read"),
        (LEAST + 'copies = { form = "edited", edit = 1 }', "did you mean 'edits'"),
        (LEAST.replace('"4 KiB"', '{ kind = "normal" }'), "unknown kind of sizes 'normal'"),
        (LEAST.replace('"4 KiB"', '{ kind = "uniform", least = "1 KiB" }'), "'most' is missing"),
        ('payload = "random_binary', "not valid TOML"),
        (LEAST + f"seed = 1{'0' * 5000}", "not valid TOML"),
        (LEAST + f"seed = 0x{'f' * 5000}", "at most 64 bits"),
        (LEAST + 'grade = "U²"', "not a whole percentage"),
        (LEAST + 'grade = "U٣"', "not a whole percentage"),
        (LEAST + f'grade = "U{"9" * 5000}"', "not a whole percentage"),
        (LEAST.replace('"4 KiB"', f'"{"9" * 5000}"'), "not a number of bytes"),
        (LEAST + 'source = "a\\u0000b"', "without NUL"),
        (
            LEAST.replace(
                '"4 KiB"',
                f'{{ kind = "lognormal", median = 9, least = 8, most = 10, sigma = 1{"0" * 400} }}',
            ),
            "not as large",
        ),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        loaded(tmp_path, text)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="can't be read"):
        dataset_file.load(tmp_path / "none.toml")


PLAN = """
name = "t"
repetitions = 1
layouts = ["blob"]
[data]
payloads = ["random_binary"]
grades = ["U0", "U50"]
distances = ["adjacent", ["8 KiB", "16 KiB"]]
placements = ["within"]
logical_size = "1 MiB"
object_size = "4 KiB"
[rest]
[systems.sqlite]
"""


def cells(changes: dict[str, str], origin: str = "p.toml") -> Any:
    text = PLAN
    for old, new in changes.items():
        text = text.replace(old, new)
    return matrix.cells(config.parse(text, origin=origin))


def test_a_plan_takes_lists_of_distances_as_one_factor_each() -> None:
    found = {cell.bulk.distance for cell in cells({})}
    assert found == {"none", "adjacent", (8192, 16384)}
    assert {cell.label for cell in cells({})} >= {"sqlite random_binary U50 8192+16384 #1"}


def test_the_insert_part_of_a_real_corpus_begins_behind_that_of_bulk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    changes = {'payloads = ["random_binary"]': f'payloads = ["files"]\nsource = "{tmp_path}"'}
    for cell in cells(changes):
        unique_bytes = cell.bulk.logical_bytes * (100 - cell.bulk.grade_percent) // 100
        assert cell.insert.skip_bytes >= unique_bytes
    assert all(cell.insert.skip_bytes == 0 for cell in cells({}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({'["within"]': '["beside"]'}, "unknown placement 'beside'"),
        (
            {'["blob"]': '["native"]', "[rest]": 'copies = { form = "gzip" }\n[rest]'},
            "are no records: take layout 'blob'",
        ),
        ({"[rest]": '[data.sources]\nnasa_imge = "x"\n[rest]'}, "did you mean 'nasa_image'"),
        ({"[rest]": "vary = 1\n[rest]"}, "must be true or false"),
    ],
)
def test_a_plan_refuses_what_does_not_fit(changes: dict[str, str], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        cells(changes)
