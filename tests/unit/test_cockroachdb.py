"""CockroachDB's statements, the rows that its documentation shows, and its errors."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deduplab import config
from deduplab.adapters import _cockroachdb_gc as gc
from deduplab.adapters import _cockroachdb_reports as reports
from deduplab.adapters._cockroachdb_tables import (
    ROW_TTL,
    statements_of,
    zone,
    zone_of,
    zone_restored,
)
from deduplab.adapters._cockroachdb_wire import CockroachWire
from deduplab.adapters._layout import Layout
from deduplab.adapters.cockroachdb import CockroachdbAdapter
from deduplab.errors import (
    NamespaceRefused,
    OperationFailed,
    PlanError,
    ProbeError,
    SystemUnavailable,
    Unsupported,
)
from deduplab.server import Endpoint
from deduplab.testing import SAMPLE_RECORDS

BLOB = Layout()
STATISTICS = {
    "approximate_disk_bytes": 13_000,
    "intent_bytes": 0,
    "intent_count": 0,
    "key_bytes": 700,
    "key_count": 20,
    "live_bytes": 9_000,
    "live_count": 15,
    "sys_bytes": 40,
    "sys_count": 2,
    "val_bytes": 122_300,
    "val_count": 25,
}


class ToldWire:
    """Answers statements by patterns, and keeps what was said; the last answer repeats."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self.said: list[str] = []
        self._answers = answers
        self.clock_s = 0

    def query(self, statement: str) -> list[tuple[str, ...]]:
        self.said.append(statement)
        if "clock_timestamp" in statement:
            self.clock_s += 1
            return [(str(self.clock_s * 10**9),)]
        for pattern, answers in self._answers.items():
            if re.search(pattern, statement):
                answer: Any = answers.pop(0) if len(answers) > 1 else answers[0]
                if isinstance(answer, Exception):
                    raise answer
                rows: list[tuple[str, ...]] = answer
                return rows
        return []

    def scalar(self, statement: str) -> str | None:
        rows = self.query(statement)
        return rows[0][0] if rows else None

    def prepare(self, name: bytes, statement: str) -> None:
        self.said.append(f"PREPARE {name.decode()}: {statement}")

    def close(self) -> None:
        pass


def wire(answers: dict[str, list[Any]] | None = None) -> Any:
    return ToldWire(answers or {})


def spans(**changed: int) -> list[tuple[str]]:
    return [(json.dumps(STATISTICS | changed),)]


def test_statements_of_objects() -> None:
    made = statements_of("default", BLOB, "lab")
    assert made.create == (
        'CREATE TABLE "lab".public.objects (key STRING PRIMARY KEY, "payload" BYTES NOT NULL)'
    )
    assert made.copy == 'COPY "lab".public.objects (key, "payload") FROM STDIN WITH BINARY'
    assert made.put == 'INSERT INTO "lab".public.objects (key, "payload") VALUES ($1, $2)'
    assert made.delete == 'DELETE FROM "lab".public.objects WHERE key = ANY ($1)'
    assert made.tables.select == 'SELECT "payload" FROM "lab".public.objects WHERE key = $1'
    assert made.expire is None
    assert made.keep is None


def test_columns_of_records_have_types_of_cockroachdb() -> None:
    made = statements_of("default", Layout.of("cockroachdb", "native", SAMPLE_RECORDS), "lab")
    for name in ("STRING", "BYTES", "INT8", "FLOAT8", "DECIMAL(18, ", "BOOL", "TIMESTAMPTZ"):
        assert f" {name}" in made.create, name
    assert " UUID" in made.create
    assert " JSONB" in made.create


def test_row_level_ttl_expires_rows_on_demand_alone() -> None:
    made = statements_of(ROW_TTL, BLOB, "lab")
    never = "ttl_expiration_expression = $$(deduplab_inserted_at + '1000 years')$$"
    assert f"{never}, ttl_job_cron = '@daily', ttl_delete_rate_limit = 0)" in made.create
    assert "deduplab_inserted_at TIMESTAMPTZ NOT NULL DEFAULT now()" in made.create
    assert "deduplab_inserted_at" not in made.put + made.copy + made.tables.select
    assert made.expire == (
        'ALTER TABLE "lab".public.objects SET (ttl_expiration_expression = '
        "$$(deduplab_inserted_at)$$, ttl_job_cron = '* * * * *')"
    )
    assert made.keep is not None
    assert never in made.keep


def test_zones_of_the_variants() -> None:
    inherited = 'ALTER DATABASE "lab" CONFIGURE ZONE DISCARD'
    assert zone_restored("default", "lab") == zone_restored(ROW_TTL, "lab") == inherited
    assert zone_of("default", "lab") is None
    short = 'ALTER DATABASE "lab" CONFIGURE ZONE USING gc.ttlseconds = 60'
    assert zone_of("gc-ttl-short", "lab") == short == zone("lab", 60)
    assert zone_restored("gc-ttl-short", "lab") == short


def test_a_namespace_is_a_database_with_marker_and_zone() -> None:
    adapter = CockroachdbAdapter()
    told = adapter._connection = wire()
    adapter.create("lab", layout="blob", variant="gc-ttl-short", durability="fsync")
    marks = [index for index, said in enumerate(told.said) if said.startswith("COMMENT ON")]
    assert told.said[marks[0] - 1] == 'CREATE DATABASE "lab"'
    assert "gc.ttlseconds = 60" in told.said[marks[0] + 1]
    assert told.said[marks[0] + 2].startswith('CREATE TABLE "lab".public.objects')


@pytest.mark.parametrize("comment", ["", "somebody else's"])
def test_a_foreign_database_is_neither_used_nor_dropped(comment: str) -> None:
    adapter = CockroachdbAdapter()
    told = adapter._connection = wire({"WITH COMMENT": [[(comment,)]]})
    with pytest.raises(NamespaceRefused, match="database 'lab' exists without our marker"):
        adapter.create("lab", layout="blob", variant="default", durability="fsync")
    assert not any("DROP" in said or "CREATE" in said for said in told.said)


def test_sizes_are_those_of_the_documented_statistics() -> None:
    reading = reports.sizes(wire({"SHOW RANGES": [spans()]}), "lab")
    assert reading.components == {"live": 9_000, "garbage": 114_000, "metadata": 40}
    assert reading.total_bytes == 123_040
    assert "before compression" in reading.source


def test_the_parts_of_a_table_in_several_ranges_add_up() -> None:
    # As in the documentation: an empty range, and one with a row of 54 + 49 bytes.
    empty = STATISTICS | {"key_bytes": 0, "live_bytes": 0, "val_bytes": 0, "sys_bytes": 1_025}
    one = STATISTICS | {"key_bytes": 54, "live_bytes": 103, "val_bytes": 49, "sys_bytes": 2_190}
    rows = [(json.dumps(part),) for part in (empty, one, one)]
    reading = reports.sizes(wire({"SHOW RANGES": [rows]}), "lab")
    assert reading.components == {"live": 206, "garbage": 0, "metadata": 5_405}


@pytest.mark.parametrize("rows", [[], [("{}",)], [("no JSON",)]])
def test_a_size_that_is_not_told_is_missing_and_never_zero(rows: list[tuple[str]]) -> None:
    with pytest.raises(ProbeError, match="cockroachdb: SHOW RANGES tells"):
        reports.sizes(wire({"SHOW RANGES": [rows]}), "lab")


def test_signals_counters_and_identity() -> None:
    assert reports.idle_signals(wire({"SHOW JOBS": [[("1", "0", "2")]]})) == {
        "jobs": 1,
        "statistics_jobs": 0,
        "foreign_statements": 2,
    }
    told = wire({"node_metrics": [[("livebytes", "12"), ("rocksdb.flushes", "3")]]})
    assert reports.counters(told) == {"live_bytes": 12, "memtable_flushes": 3}
    version = "CockroachDB CCL v25.4.1 (x86_64-pc-linux-gnu, built 2025/11/20, go1.23)"
    told = wire(
        {
            "cluster_id": [[(version, "6f2a")]],
            "CLUSTER SETTINGS": [[("version", "25.4")]],
            "SHOW ZONE": [[("RANGE default", "ALTER RANGE default\n\tCONFIGURE ZONE")]],
        }
    )
    found = reports.identity(told, "lab")
    assert (found.product, found.version, found.instance) == ("CockroachDB", "25.4.1", "6f2a")
    assert found.configuration["zone"] == "ALTER RANGE default CONFIGURE ZONE"


def test_a_cluster_that_does_not_sync_is_refused() -> None:
    reports.check_synced(wire())
    reports.check_synced(wire({"CLUSTER SETTINGS": [[(reports.SYNC_OFF, "false")]]}))
    with pytest.raises(Unsupported, match="runs with true"):
        reports.check_synced(wire({"CLUSTER SETTINGS": [[(reports.SYNC_OFF, "true")]]}))


@pytest.mark.parametrize("enqueue", [False, True])
def test_old_versions_are_waited_for_with_a_short_ttl_meanwhile(enqueue: bool) -> None:
    told = wire({"span_stats": [spans(), spans(), spans(live_bytes=123_000)]})
    gc.collect(told, "lab", "gc-ttl-short", enqueue=enqueue)
    assert "gc.ttlseconds = 1" in told.said[0]
    assert "gc.ttlseconds = 60" in told.said[-1]
    assert sum("pg_sleep" in said for said in told.said) == 2
    asked = [said for said in told.said if "kv_enqueue_replica" in said]
    assert len(asked) == (2 if enqueue else 0)


def test_what_does_not_end_is_an_error_and_the_zone_is_restored() -> None:
    told = wire({"span_stats": [spans()]})
    with pytest.raises(OperationFailed, match=r"removal of old versions .* not done in 900 s"):
        gc.collect(told, "lab", "default", enqueue=False)
    assert told.said[-1] == 'ALTER DATABASE "lab" CONFIGURE ZONE DISCARD'


def test_expiry_waits_for_the_last_row_and_is_taken_back() -> None:
    statements = statements_of(ROW_TTL, BLOB, "lab")
    told = wire({"LIMIT 1": [[("1",)], [("1",)], []]})
    gc.expire(told, statements)
    assert told.said[0] == statements.expire
    assert told.said[-1] == statements.keep
    assert sum("pg_sleep" in said for said in told.said) == 2


def test_expiry_takes_the_variant_with_row_level_ttl() -> None:
    adapter = CockroachdbAdapter()
    adapter._connection = wire()
    adapter.create("lab", layout="blob", variant="default", durability="fsync")
    with pytest.raises(Unsupported, match="in the variant 'row-level-ttl' alone, not in 'default'"):
        adapter.empty("ttl")
    with pytest.raises(Unsupported, match="it has: truncate, drop, ttl"):
        adapter.empty("burn")
    with pytest.raises(Unsupported, match="it has: gc, gc-enqueue"):
        adapter.reclaim("burn")


@pytest.mark.parametrize("sqlstate", ["40001", "40003", "57P01", "08006", "53300"])
def test_what_may_pass_on_a_fresh_instance(sqlstate: str) -> None:
    assert isinstance(CockroachWire.told(sqlstate, "words", connected=True), SystemUnavailable)


@pytest.mark.parametrize("sqlstate", ["23505", "42P01", "57014", "XXUUU"])
def test_what_is_a_failure(sqlstate: str) -> None:
    error = CockroachWire.told(sqlstate, "no\nroom", connected=True)
    assert isinstance(error, OperationFailed)
    assert "no room" in str(error)
    assert isinstance(CockroachWire.told(sqlstate, "", connected=False), SystemUnavailable)


def test_a_transaction_that_lost_is_told_as_such() -> None:
    words = "restart transaction: TransactionRetryWithProtoRefreshError: WriteTooOldError"
    error = CockroachWire.told("40001", words, connected=True)
    assert "the server asks to try again (SQLSTATE 40001): restart transaction" in str(error)


def test_another_product_behind_the_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = wire({"version": [[("PostgreSQL 17.2 on x86_64",)]]})
    monkeypatch.setattr(CockroachWire, "connect", lambda _: told)
    with pytest.raises(SystemUnavailable, match="h:26257 is no CockroachDB, it says: PostgreSQL"):
        CockroachdbAdapter().open(Endpoint(host="h", port=26257))


def test_the_session_is_set_up_and_old_versions_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = [[("CockroachDB CCL v25.4.1 (x86_64)",)]]
    refusal = [OperationFailed("unrecognized configuration parameter")]
    told = wire({"version": version, "allow_unsafe_internals": refusal})
    monkeypatch.setattr(CockroachWire, "connect", lambda _: told)
    CockroachdbAdapter().open(Endpoint(host="h", port=26257))
    assert "SET copy_from_atomic_enabled = on" in told.said
    told = wire({"version": version, "copy": refusal})
    monkeypatch.setattr(CockroachWire, "connect", lambda _: told)
    with pytest.raises(Unsupported, match="has no copy_from_atomic_enabled; take version"):
        CockroachdbAdapter().open(Endpoint(host="h", port=26257))


PLAN = """
name = "roach"
[data]
payloads = ["random_binary"]
grades = ["U50"]
logical_size = "1 MiB"
object_size = "8 KiB"
[systems.cockroachdb]
variants = ["{variant}"]
delete = "ttl"
reclaim = ["gc-enqueue"]
[systems.cockroachdb.remote]
host = "db.example.org"
port = 26257
user = "lab"
database = "defaultdb"
secret = "env:LAB_SECRET"
ssl_ca = "/etc/ssl/lab.pem"
"""


def test_a_plan_names_an_address_variants_and_modes() -> None:
    (system,) = config.parse(PLAN.format(variant=ROW_TTL), origin="p.toml").systems
    assert system.remote is not None
    assert (system.remote.host, system.remote.port) == ("db.example.org", 26257)
    assert (system.delete_mode, system.reclaim_modes) == ("ttl", ("gc-enqueue",))
    with pytest.raises(PlanError, match="did you mean 'row-level-ttl'"):
        config.parse(PLAN.format(variant="row-ttl"), origin="p.toml")
