"""The written rights of every server system are enough, none is in vain, and a missing one is told.

An administrator runs the text of ``deduplab systems grants`` as it stands on a
private server, and all that follows is done as the user that it makes.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import config, registry
from deduplab.adapter import Adapter
from deduplab.analysis import rows
from deduplab.bench import matrix
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.errors import DeduplabError, NamespaceRefused, OperationFailed, SystemUnavailable
from deduplab.model import OutcomeKind
from deduplab.server import Endpoint
from deduplab.store import Run, RunHeader
from tests.contract.administrator import USER, Administrator
from tests.contract.administrators import ADMINISTRATORS
from tests.contract.whole_life import live

pytestmark = pytest.mark.server

PLAN = """
name = "rights"
stages = ["bulk", "reclaim", "delete", "reclaim"]
repetitions = 1
[data]
payloads = ["random_binary"]
grades = ["U0"]
logical_size = "64 KiB"
object_size = "8 KiB"
[rest]
window_s = 0.05
interval_s = 0.01
deadline_s = 10
[systems.{system}]
delete = "rowwise"
[systems.{system}.remote]
host = "{host}"
port = {port}
user = "{user}"
secret = "env:LAB_SECRET"
tls = "off"
{more}
"""


@pytest.fixture(scope="module", params=[*ADMINISTRATORS])
def ruled(
    request: pytest.FixtureRequest, not_brought_up: Callable[[str, Exception], NoReturn]
) -> Iterator[tuple[Administrator, Endpoint]]:
    workspace = Path(tempfile.mkdtemp(prefix="deduplab-contract-"))
    workspace.chmod(0o755)
    administrator = ADMINISTRATORS[request.param](workspace)
    try:
        try:
            administrator.start()
        except SystemUnavailable as error:
            not_brought_up(request.param, error)
        yield administrator, administrator.grant()
    finally:
        administrator.stop()
        shutil.rmtree(workspace)


@contextmanager
def opened(administrator: Administrator, endpoint: Endpoint) -> Iterator[Adapter]:
    adapter = registry.system(administrator.system).adapter_class()()
    try:
        adapter.open(endpoint)
        yield adapter
    finally:
        adapter.close()


def live_all(
    administrator: Administrator, endpoint: Endpoint, layouts: tuple[str, ...] = ("blob", "native")
) -> None:
    for variant, durability in administrator.lives:
        administrator.live_with(durability)
        for layout in layouts:
            with opened(administrator, endpoint) as adapter:
                live(adapter, variant, durability, layout)


@contextmanager
def without(administrator: Administrator, right: str) -> Iterator[None]:
    administrator.revoke(right)
    try:
        yield
    finally:
        administrator.restore(right)


def test_the_written_rights_are_enough(ruled: tuple[Administrator, Endpoint]) -> None:
    live_all(*ruled)


def test_no_right_is_in_vain_and_a_missing_one_is_told(
    ruled: tuple[Administrator, Endpoint],
) -> None:
    administrator, endpoint = ruled
    rights = administrator.rights()
    assert rights, administrator.text
    told: dict[str, str] = {}
    for right in rights:
        if right in administrator.not_by_a_verb:
            continue
        with without(administrator, right):
            told[right] = words_of_failure(administrator, endpoint)
    assert [right for right, words in told.items() if not words] == [], "not needed at all"
    unclear = {r: w for r, w in told.items() if not re.search(r"deduplab systems grants \w+", w)}
    assert unclear == {}
    live_all(administrator, endpoint, ("blob",))


def words_of_failure(administrator: Administrator, endpoint: Endpoint) -> str:
    """Return what is said where a life can't be lived; empty if it can."""
    try:
        live_all(administrator, endpoint, ("native", "blob"))
    except (OperationFailed, SystemUnavailable) as error:
        return str(error)
    return ""


def test_the_rights_end_at_the_lab(ruled: tuple[Administrator, Endpoint]) -> None:
    administrator, endpoint = ruled
    expected: type[DeduplabError] = OperationFailed
    match = "deduplab systems grants"
    if not administrator.limits_names:  # then what somebody else has made is out of reach
        administrator.make_foreign("other-lab")
        expected, match = NamespaceRefused, "without our marker"
    variant, durability = administrator.lives[0]
    administrator.live_with(durability)
    with (
        opened(administrator, endpoint) as adapter,
        pytest.raises(expected, match=match),
    ):
        adapter.create("other-lab", layout="blob", variant=variant, durability=durability)


def test_a_cell_without_a_right_fails(
    ruled: tuple[Administrator, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is missed when data is there already; with it, the same cell is fine."""
    administrator, endpoint = ruled
    monkeypatch.setenv("LAB_SECRET", administrator.password.reveal())
    variant, durability = administrator.lives[0]
    administrator.live_with(durability)
    more = [f'database = "{endpoint.database}"'] if endpoint.database else []
    more += [f'{name} = "{value}"' for name, value in endpoint.options.items()
             if name in ("master", "volumes")]  # fmt: skip
    text = f'durability = "{durability}"\n' + PLAN.format(
        system=administrator.system, host=endpoint.host, port=endpoint.port, user=USER,
        more="\n".join(more),
    )  # fmt: skip
    (cell,) = matrix.cells(config.parse(text, origin="rights.toml"))
    assert cell.variant == variant
    manifests = ManifestCache(tmp_path)
    with without(administrator, administrator.late_right):
        result, latencies_ns = run_cell(cell, tmp_path, manifests)
    assert result.outcome.kind is OutcomeKind.FAILED, result.outcome
    assert "deduplab systems grants" in result.outcome.reason
    run = Run.create(
        tmp_path / "run", RunHeader("rights", "rights", "d" * 64, 1, 1, (cell.cell_id,)), text
    )
    run.commit(result, latencies_ns)
    assert [row for row in rows(run) if row.value is not None] == [], "nothing of it counts"
    result, _ = run_cell(cell, tmp_path, manifests)
    assert result.outcome.ok, result.outcome
    rests = [moment.rest for one in result.measurements for moment in one.moments if moment.rest]
    assert all(rest.settled for rest in rests)
