"""Several clients, as processes: known answers, one schedule, failures that hang nothing."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pytest

from deduplab import config
from deduplab.adapter import Adapter
from deduplab.adapters.plain import PlainAdapter
from deduplab.analysis import rows
from deduplab.bench import matrix
from deduplab.bench.clients import Clients
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.cell import Cell, CellResult
from deduplab.errors import OperationFailed, SystemUnavailable
from deduplab.model import Measurement, Outcome, OutcomeKind, Stage
from deduplab.record import Stored
from deduplab.report import html
from deduplab.store import Run
from tests.end_to_end.conftest import Cli
from tests.end_to_end.products import Missing
from tests.end_to_end.test_lifecycle import bring_up_with
from tests.quiet import in_a_quiet_moment

MS: Final = 1_000_000
SERVICE_NS: Final = 5 * MS
OBJECTS: Final = 120
GONE_S: Final = 10.0

PLAN = f"""\
name = "shared"
repetitions = 1
clients = 4
stages = ["bulk", "read", "insert", "delete"]
trace_hz = 0
[data]
payloads = ["random_binary"]
grades = ["U50"]
distances = ["adjacent"]
logical_size = "{OBJECTS} KiB"
object_size = "1 KiB"
insert_share = "100 %"
read_objects = {OBJECTS}
[rest]
window_s = 0.02
interval_s = 0.005
[systems.plain]
"""


class TakesFiveMs(PlainAdapter):
    """Does one object in five milliseconds, several of them at once."""

    def put(self, key: str, payload: Stored) -> None:
        begun = time.perf_counter_ns()
        super().put(key, payload)
        self._take(begun)

    def get(self, key: str) -> bytes | None:
        begun = time.perf_counter_ns()
        found = super().get(key)
        self._take(begun)
        return found

    def delete(self, keys: Sequence[str]) -> int:
        begun = time.perf_counter_ns()
        found = super().delete(keys)
        self._take(begun)
        return found

    def _take(self, begun: int) -> None:
        time.sleep(max(0, begun + SERVICE_NS - time.perf_counter_ns()) / 1e9)


class OneAtATime(TakesFiveMs):
    """The same, but whoever comes meanwhile waits."""

    def put(self, key: str, payload: Stored) -> None:
        assert self._root is not None
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().put(key, payload)


class Fails(PlainAdapter):
    """Refuses one object, while the others take long."""

    def put(self, key: str, payload: Stored) -> None:
        if int(key[1:]) == 2:
            raise OperationFailed("this one is refused")
        time.sleep(30)


class Dies(PlainAdapter):
    """The process of client 3 is killed at its first object, while the others take long."""

    def put(self, key: str, payload: Stored) -> None:
        if int(key[1:]) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(30)


class Loses(PlainAdapter):
    """Acknowledges one object and does not keep it."""

    def put(self, key: str, payload: Stored) -> None:
        if int(key[1:]) != 5:
            super().put(key, payload)


class Hangs(PlainAdapter):
    """Takes a minute for an object."""

    def put(self, key: str, payload: Stored) -> None:
        time.sleep(60)


class SlowWithEveryFourth(PlainAdapter):
    """Takes 20 ms longer for objects 2, 6, 10, ..."""

    def put(self, key: str, payload: Stored) -> None:
        super().put(key, payload)
        if int(key[1:]) % 4 == 2:
            time.sleep(0.02)


def cell_of(*changes: tuple[str, str]) -> Cell:
    text = PLAN
    for change in changes:
        assert change[0] in text
        text = text.replace(*change)
    (cell,) = matrix.cells(config.parse(text, origin="shared.toml"))
    return cell


def run(
    tmp_path: Path, cell: Cell, adapter: type[Adapter]
) -> tuple[CellResult, dict[int, Any], tuple[int, ...]]:
    """Run a cell; return its result, raw latencies, and the processes of its clients."""
    instance = tmp_path / f"instance-{cell.cell_id}"
    instance.mkdir()
    manifests = ManifestCache(tmp_path / "manifests")
    up = bring_up_with(adapter)
    if cell.clients == 1:
        return *run_cell(cell, instance, manifests, bring_up=up), ()
    with closing(Clients(cell)) as clients:
        processes = clients.process_ids
        assert len(processes) == cell.clients
        found = run_cell(cell, instance, manifests, bring_up=up, clients=clients)
    assert not any(map(psutil.pid_exists, processes))
    return *found, processes


def measured(result: CellResult, stage: Stage) -> Measurement:
    return next(one for one in result.measurements if one.stage is stage)


ONE = ("clients = 4", "clients = 1")


@in_a_quiet_moment
def test_what_several_can_do_at_once_is_done_at_once(tmp_path: Path) -> None:
    """By hand: 120 operations of 5 ms take one client 0.6 s, and four clients 0.15 s.

    Never less; more where the machine does other things, too, which must not look like one client.
    """
    one, _, _ = run(tmp_path, cell_of(ONE), TakesFiveMs)
    four, raw_ns, _ = run(tmp_path, cell_of(), TakesFiveMs)
    assert one.outcome.ok, one.outcome
    assert four.outcome.ok, four.outcome
    for stage in (Stage.READ, Stage.INSERT):
        alone, shared = measured(one, stage), measured(four, stage)
        assert alone.duration_ns >= OBJECTS * SERVICE_NS
        assert shared.duration_ns >= OBJECTS * SERVICE_NS / 4
        assert alone.duration_ns / shared.duration_ns > 2.5
        assert (alone.clients, shared.clients) == (1, 4)
        assert shared.acknowledged == shared.objects == shared.operations == OBJECTS
        latencies_ns = raw_ns[shared.position]
        assert (latencies_ns >= SERVICE_NS).all()
        assert np.median(latencies_ns) < 1.5 * SERVICE_NS
        assert 0 <= shared.clients_waited_ns < 2 * shared.duration_ns
    assert measured(four, Stage.BULK).clients == 1


@in_a_quiet_moment
def test_what_is_done_one_at_a_time_takes_as_long_with_four(tmp_path: Path) -> None:
    """By hand: an operation waits for those of the three others: 4 x 5 ms, and 1 x the throughput.

    The mean, since that does not depend on who of those who wait is next (Little's law). The
    first three don't wait for all: (120 x 20 - 30) / 120 ms at least.
    """
    stages = ('["bulk", "read", "insert", "delete"]', '["bulk", "insert"]')
    one, alone_ns, _ = run(tmp_path, cell_of(ONE, stages), OneAtATime)
    four, raw_ns, _ = run(tmp_path, cell_of(stages), OneAtATime)
    assert four.outcome.ok, four.outcome
    alone, shared = one.measurements[1], four.measurements[1]
    assert alone.duration_ns / shared.duration_ns == pytest.approx(1, rel=0.5)
    assert shared.duration_ns >= OBJECTS * SERVICE_NS
    assert raw_ns[1].mean() >= 19 * MS
    busy_ns = 4 * shared.duration_ns - shared.clients_waited_ns
    assert raw_ns[1].mean() == pytest.approx(busy_ns / OBJECTS, rel=0.1)
    assert alone_ns[1].mean() < 10 * MS


@in_a_quiet_moment
def test_operation_i_is_of_client_i_mod_n_in_every_batch(tmp_path: Path) -> None:
    """Batches whose length is no multiple of the clients: the turn goes on with the next one."""
    cell = cell_of(('"1 KiB"', '"1 KiB"\nbatch_size = "30 KiB"'))
    result, raw_ns, _ = run(tmp_path, cell, SlowWithEveryFourth)
    assert result.outcome.ok, result.outcome
    insert = measured(result, Stage.INSERT)
    by_client_ns = [raw_ns[insert.position][number::4] for number in range(4)]
    assert (by_client_ns[2] >= 20 * MS).all()
    for number in (0, 1, 3):
        assert np.median(by_client_ns[number]) < 20 * MS
    # The other three have little to do in each of four regions, and wait for client 2.
    assert insert.clients_waited_ns > 2 * insert.duration_ns
    deletion = measured(result, Stage.DELETE)
    assert deletion.acknowledged == deletion.objects == 2 * OBJECTS
    assert deletion.operations == 8  # one request a client for what bulk stored, and insert


@in_a_quiet_moment
def test_one_schedule_is_kept_by_all_together(tmp_path: Path) -> None:
    """400/s with 5 ms an operation: one client can't (200/s), four can; nothing is late."""
    rate = ("clients = 4", "clients = 4\nrate = 400")
    result, raw_ns, _ = run(tmp_path, cell_of(rate), TakesFiveMs)
    assert result.outcome.ok, result.outcome
    insert = measured(result, Stage.INSERT)
    latency_ns, service_ns = raw_ns[insert.position]
    assert insert.rate_per_s == 400
    assert insert.duration_ns >= OBJECTS * 2.5 * MS
    assert insert.duration_ns < OBJECTS * SERVICE_NS  # what one client would need
    assert np.median(service_ns) < 1.5 * SERVICE_NS
    assert np.median(latency_ns - service_ns) < 2 * MS
    assert measured(result, Stage.DELETE).operations == 2 * OBJECTS  # one key a request


def test_what_four_can_not_do_either_is_later_each_time(tmp_path: Path) -> None:
    """1600/s is twice what four do at 5 ms: each client is later by 2.5 ms every time."""
    rate = ("clients = 4", "clients = 4\nrate = 1600")
    cell = cell_of(rate, ('"1 KiB"', '"1 KiB"\nbatch_size = "30 KiB"'))
    result, raw_ns, _ = run(tmp_path, cell, TakesFiveMs)
    insert = measured(result, Stage.INSERT)
    latency_ns, service_ns = raw_ns[insert.position]
    late_ns = latency_ns - service_ns
    # By hand, over the pauses between batches, too: (5 - 2.5) ms for each one of its client before.
    assert (late_ns >= np.arange(OBJECTS) // 4 * 2.5 * MS).all()
    assert (service_ns >= SERVICE_NS).all()
    assert insert.duration_ns >= OBJECTS * SERVICE_NS / 4


@pytest.mark.parametrize(
    ("adapter", "reason"),
    [
        (Fails, r"insert: OperationFailed: client 2 of 4: this one is refused"),
        (Dies, r"insert: OperationFailed: client 3 of 4 died \(killed by SIGKILL\)"),
    ],
)
def test_a_client_that_fails_ends_the_others(
    tmp_path: Path, adapter: type[Adapter], reason: str
) -> None:
    stages = ('["bulk", "read", "insert", "delete"]', '["bulk", "insert", "delete"]')
    begun = time.monotonic()
    result, _, _ = run(tmp_path, cell_of(stages), adapter)
    assert time.monotonic() - begun < 20  # where an operation takes 30 s
    assert result.outcome.kind is OutcomeKind.FAILED
    assert re.fullmatch(reason, result.outcome.reason), result.outcome
    insert = result.measurements[-1]
    assert insert.outcome == Outcome(OutcomeKind.FAILED, reason_of(result))


def reason_of(result: CellResult) -> str:
    return result.outcome.reason.removeprefix("insert: ")


def test_what_a_client_did_not_keep_does_not_count(tmp_path: Path) -> None:
    result, _, _ = run(tmp_path, cell_of(), Loses)
    assert result.outcome.kind is OutcomeKind.INVALID
    assert "239 objects, 240 were stored" in result.outcome.reason


def test_a_client_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    stages = ('["bulk", "read", "insert", "delete"]', '["bulk", "insert"]')
    cell = cell_of(("trace_hz", "cell_deadline_s = 1\ntrace_hz"), stages)
    result, _, _ = run(tmp_path, cell, Hangs)
    assert result.outcome.kind is OutcomeKind.FAILED
    assert result.outcome.reason.endswith("client 0 of 4 did not answer within 1 s")


def test_copies_across_two_containers_and_records_are_shared_out_too(tmp_path: Path) -> None:
    for change in (
        ("[rest]", 'placements = ["across"]\n[rest]'),
        ("trace_hz", 'layouts = ["native"]\ntrace_hz'),
    ):
        cell = cell_of(change)
        instance = tmp_path / f"instance-{cell.cell_id}"
        instance.mkdir()
        with closing(Clients(cell)) as clients:
            manifests = ManifestCache(tmp_path / "manifests")
            result, _ = run_cell(cell, instance, manifests, clients=clients)
        assert result.outcome.ok, result.outcome
        assert [one.clients for one in result.measurements] == [1, 4, 4, 4]


def test_a_system_of_one_process_is_unsupported_and_never_one_client(
    cli: Cli, tmp_path: Path
) -> None:
    plan = tmp_path / "shared.toml"
    plan.write_text(PLAN.replace("clients = 4", "clients = [1, 4]") + "[systems.sqlite]\n")
    told = cli("plan", plan)
    assert "1, 4, as processes, in insert, read and delete by row" in told.stdout
    done = cli("run", plan, "--runs", tmp_path / "runs", columns=220)
    assert done.returncode == 0, done.stderr
    (root,) = (tmp_path / "runs").iterdir()
    run = Run.open(root)
    outcomes = {(r.cell.system, r.cell.clients): r.outcome for r in run.cells()}
    assert outcomes["plain", 1].ok
    assert outcomes["plain", 4].ok
    assert outcomes["sqlite", 1].ok
    assert outcomes["sqlite", 4] == Outcome(
        OutcomeKind.UNSUPPORTED,
        "sqlite can't have 4 clients: its files belong to one process",
    )
    found = list(rows(run))
    assert {row.clients for row in found} == {1, 4}
    shared = {row.metric: row for row in found if row.clients == 4 and row.stage == "insert"}
    assert shared["clients"].value == 4
    assert 0 <= (shared["clients_idle_ratio"].value or 0) < 1
    assert {f"latency_p50_ns:client-{number}" for number in range(4)} <= set(shared)
    alone = {row.metric for row in found if row.clients == 1}
    assert not {"clients", "clients_idle_ratio"} & alone
    page = html.render(run)
    assert "plain by 4 clients" in page
    assert "closed, 4 clients <small>waited" in page
    assert page.count("Waited: the share of their time") == 1


@pytest.mark.server
@pytest.mark.parametrize("system", ["plain", "redis", "postgresql"])
def test_clients_connect_anew_to_an_instance_that_was_made_cold(
    cli: Cli, tmp_path: Path, not_brought_up: Missing, system: str
) -> None:
    text = PLAN.replace("[systems.plain]", f"[systems.{system}]")
    plan = tmp_path / "cold.toml"
    plan.write_text(text.replace('"read", "insert"', '"read", "cold-read", "insert"'))
    done = cli("run", plan, "--runs", tmp_path / "runs")
    (root,) = (tmp_path / "runs").iterdir()
    results = list(Run.open(root).cells())
    if not results:
        not_brought_up(system, SystemUnavailable(done.stderr))
    assert done.returncode == 0, done.stderr
    (result,) = results
    assert result.outcome.ok, result.outcome
    found = measured(result, Stage.COLD_READ)
    assert found.cold is not None
    assert found.clients == 4
    assert found.acknowledged == found.operations == OBJECTS
    assert measured(result, Stage.INSERT).acknowledged == OBJECTS


@pytest.mark.server
@pytest.mark.parametrize("system", ["redis", "postgresql"])
def test_a_server_has_several_clients_and_a_tracer(
    cli: Cli, tmp_path: Path, not_brought_up: Missing, system: str
) -> None:
    """In both layouts, in closed loops and at a rate; what the tracer sees is kept apart."""
    text = PLAN.replace("[systems.plain]", f"[systems.{system}]").replace("= 4", "= 3")
    text = text.replace("trace_hz = 0", 'trace_hz = 20\nlayouts = ["blob", "native"]')
    plan = tmp_path / "shared.toml"
    plan.write_text(text.replace("clients", 'rates = ["closed", 300]\nclients'))
    done = cli("run", plan, "--runs", tmp_path / "runs", timeout_s=300)
    (root,) = (tmp_path / "runs").iterdir()
    run = Run.open(root)
    results = list(run.cells())
    if not results:
        not_brought_up(system, SystemUnavailable(done.stderr))
    assert done.returncode == 0, done.stderr
    assert len(results) == 4
    for result in results:
        assert result.outcome.ok, result.outcome
        assert [one.clients for one in result.measurements] == [1, 3, 3, 3]
        trace = run.trace(result.cell.cell_id)
        assert trace is not None
        assert not trace.reasons
        assert {"client_cpu_ns", "system_cpu_ns"} <= set(trace.columns)
        if result.cell.rate_per_s:
            insert = measured(result, Stage.INSERT)
            assert insert.duration_ns >= OBJECTS / 300 * 1e9
