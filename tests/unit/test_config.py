from pathlib import Path

import pytest

from deduplab import config
from deduplab.bench import matrix
from deduplab.cell import RemoteAddress
from deduplab.errors import PlanError

QUICK = (Path(__file__).parents[2] / "plans" / "quick.toml").read_text()

SMALL = """\
name = "small"
stages = ["bulk", "delete"]

[data]
payloads = ["random_binary"]
grades = ["U0", "U50"]
distances = ["adjacent", "64 KiB"]
logical_size = "1 MiB"
object_size = "8 KiB"

[systems.plain]
[systems.sqlite]
"""


def parse(text: str, **options: object) -> config.Plan:
    return config.parse(text, origin="small.toml", **options)  # type: ignore[arg-type]


def test_the_quick_plan_is_valid_and_has_every_cell_once() -> None:
    plan = config.parse(QUICK, origin="quick.toml")
    cells = matrix.cells(plan)
    per_payload = 1 + 2 * 2  # U0 has no distance; U50 and U90 have two
    repeated = sum(system.repetitions * len(system.variants) for system in plan.systems)
    assert sum(len(system.variants) for system in plan.systems) == 11
    assert len(cells) == 2 * per_payload * repeated
    assert len({cell.cell_id for cell in cells}) == len(cells)
    assert {cell.system for cell in cells} >= {"null", "postgresql", "clickhouse"}


def test_cells_come_in_a_seeded_random_order() -> None:
    first, second = (matrix.cells(parse(SMALL)) for _ in range(2))
    assert first == second
    other = matrix.cells(parse(SMALL.replace('"small"', '"small"\nseed = 2')))
    assert [(c.system, c.bulk.grade_percent, c.bulk.distance, c.repetition) for c in first] != [
        (c.system, c.bulk.grade_percent, c.bulk.distance, c.repetition) for c in other
    ]


def test_any_changed_input_changes_every_identity() -> None:
    ids = {cell.cell_id for cell in matrix.cells(parse(SMALL))}
    for change in (
        ("1 MiB", "2 MiB"),
        ("8 KiB", "4 KiB"),
        ('"small"', '"small"\nseed = 2'),
        ('["bulk", "delete"]', '["bulk", "read", "delete"]'),
        ('"small"', '"small"\ncell_deadline_s = 5'),
    ):
        assert ids.isdisjoint(cell.cell_id for cell in matrix.cells(parse(SMALL.replace(*change))))


def test_scale_multiplies_the_data_and_changes_the_digest() -> None:
    plan, larger = parse(SMALL), parse(SMALL, scale=10)
    assert plan.digest != larger.digest
    assert {c.bulk.logical_bytes for c in matrix.cells(larger)} == {10 * 1024**2}


def test_only_keeps_systems_and_variants() -> None:
    plan = config.parse(QUICK, origin="quick.toml", only=("sqlite", "clickhouse/mergetree"))
    assert [(s.name, s.variants) for s in plan.systems] == [
        ("sqlite", ("default",)),
        ("clickhouse", ("mergetree",)),
    ]
    with pytest.raises(PlanError, match="did you mean 'sqlite'"):
        parse(SMALL, only=("sqlit",))


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (
            ("[systems.sqlite]", "[systems.sqlit]"),
            12,
            "unknown system 'sqlit'; did you mean 'sqlite'",
        ),
        (("random_binary", "random_binery"), 5, "did you mean 'random_binary'"),
        (("object_size", "objekt_size"), None, "'object_size' is missing"),
        (
            ("logical_size", "grdes = []\nlogical_size"),
            8,
            "unknown key 'grdes'; did you mean 'grades'",
        ),
        (('"U50"', '"U51"'), 6, "unknown grade 'U51'"),
        (('"delete"', '"delet"'), 2, "unknown stage 'delet'; did you mean 'delete'"),
        (('"64 KiB"', '"near"'), 7, "unknown distance 'near'"),
        (("8 KiB", "8 Kibble"), 9, "not a number of bytes"),
        (("8 KiB", "2 MiB"), 8, "smaller than one object"),
        (('["bulk", "delete"]', '["read"]'), 2, "the first stage is 'bulk'"),
        (('["bulk", "delete"]', '["bulk", "refill"]'), 2, "needs a 'delete' before"),
        (
            ("[systems.plain]", '[systems.plain]\nvariants = ["fast"]'),
            12,
            "unknown variant of plain",
        ),
        (('"adjacent", ', '"adjacent", "adjacent", '), 7, "twice"),
        (('["bulk", "delete"]', '["bulk", "delete", "read"]'), 2, "'read' needs data"),
        (('["bulk", "delete"]', '["bulk", "delete", "cold-read"]'), 2, "'cold-read' needs data"),
        (('["bulk", "delete"]', '["cold-read"]'), 2, "the first stage is 'bulk'"),
        (('["bulk", "delete"]', '["bulk", "cold-red"]'), 2, "did you mean 'cold-read'"),
        (('"small"', '"small"\ncache = "cold"'), 2, "cache: give the stage 'cold-read'"),
        (('"small"', '"small"\ncache = "lukewarm"'), 2, "unknown cache state 'lukewarm'"),
        (('["bulk", "delete"]', '["bulk", "bulk"]'), 2, "may stand once"),
        (('"U50"', '["U50"]'), 6, "unknown grade"),
        (('"small"', '"small"\ncell_deadline_s = inf'), 2, "below a year"),
        (('"small"', '"small"\ncell_deadline_s = nan'), 2, "below a year"),
        (('"small"', "3"), 1, "must be text"),
        (('"small"', '"small"\nrepetitions = 0'), 2, "whole number from 1"),
        (('"random_binary"', '"files"'), 5, "needs 'source"),
        (('"small"', '"small'), None, "not valid TOML"),
        (("[systems.plain]\n[systems.sqlite]", "[systems]"), None, "names no system"),
        (("[systems.plain]", "batch_size = 0\n[systems.plain]"), 11, "at least 1 byte"),
        (('"8 KiB"', "0"), 9, "object_size: must be at least 1 byte"),
        (("[systems.plain]", "[rest]\nwindow_s = 60\n[systems.plain]"), 12, "below deadline_s"),
        (("[systems.sqlite]", "[systems.sqlite.remote]\nhost = 'h'"), 12, "is no server"),
    ],
)
def test_a_wrong_plan_is_refused_at_its_line(
    change: tuple[str, str], line: int | None, message: str
) -> None:
    with pytest.raises(PlanError) as refusal:
        parse(SMALL.replace(*change))
    assert message in str(refusal.value)
    assert refusal.value.exit_code == 2
    assert str(refusal.value).startswith("small.toml:" if line is None else f"small.toml:{line}:")


def test_data_that_can_not_be_is_refused_before_the_start() -> None:
    plan = parse(SMALL.replace('"64 KiB"', '"60 KiB"'))
    with pytest.raises(PlanError, match=r"stage bulk .*not a multiple of object_size"):
        matrix.check_datasets(matrix.cells(plan))
    insert = SMALL.replace('["bulk", "delete"]', '["bulk", "insert"]').replace("U50", "U99")
    with pytest.raises(PlanError, match="stage insert"):
        matrix.check_datasets(matrix.cells(parse(insert)))


REMOTE = """
[systems.postgresql.remote]
host = "db.example.org"
port = 5432
user = "lab"
secret = "env:LAB_SECRET"
"""


def test_a_remote_server_is_described_with_its_secret_by_reference() -> None:
    plan = parse(SMALL + REMOTE)
    remote = {system.name: system.remote for system in plan.systems}["postgresql"]
    assert remote == RemoteAddress("db.example.org", 5432, "lab", secret="env:LAB_SECRET")
    assert {cell.remote for cell in matrix.cells(plan)} == {None, remote}
    with pytest.raises(PlanError, match=r"small\.toml:18: secret: a secret is given by reference"):
        parse(SMALL + REMOTE.replace("env:LAB_SECRET", "itself"))


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="can't be read"):
        config.load(tmp_path / "none.toml")


def test_a_file_that_is_no_plan_is_said_without_numbers_of_the_system(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(PlanError) as refused:
        config.load(missing)
    assert str(refused.value) == f"the plan {missing} can't be read: No such file or directory"
    (tmp_path / "latin.toml").write_bytes(b'name = "\xfc"')
    with pytest.raises(PlanError, match="is no text in UTF-8"):
        config.load(tmp_path / "latin.toml")


def test_a_durability_that_a_system_lacks_is_said_with_what_it_has_and_what_to_do() -> None:
    text = SMALL.replace('name = "small"', 'name = "small"\ndurability = "none"')
    with pytest.raises(PlanError, match=r"plain offers 'fsync', not 'none'; .* a plan of its own"):
        parse(text)


@pytest.mark.parametrize(
    ("inline", "line"),
    [
        ('{ kind = "natural", x = 1 }', 9),
        ('{ kind = "unifrom" }', 9),
    ],
)
def test_what_is_wrong_in_an_inline_table_has_the_line_of_that(inline: str, line: int) -> None:
    text = SMALL.replace('object_size = "8 KiB"', f"object_size = {inline}")
    assert text.splitlines()[line - 1].startswith("object_size")
    with pytest.raises(PlanError, match=rf"^small\.toml:{line}: "):
        parse(text)


def test_a_key_of_an_inline_system_has_its_line() -> None:
    text = SMALL.replace("[systems.plain]\n[systems.sqlite]", "[systems]\nplain = { wal = 1 }")
    with pytest.raises(PlanError, match=r"^small\.toml:12: unknown key 'wal'"):
        parse(text)
