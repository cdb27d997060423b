"""What Redis tells of itself, and the files that it is asked to write.

Redis writes snapshots and rewrites its AOF in a child process; whoever wants to
know when it ended asks ``INFO``. Between two questions a connection blocks on
a key that never exists (``BLPOP``), which is a wait on the server; a replica,
which can't, is waited for over the connection to its primary. Sources:
Redis documentation, "INFO", "Redis persistence", "WAITAOF".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from deduplab.adapters._resp import Resp
from deduplab.errors import OperationFailed, ProbeError, SystemUnavailable

_SETTINGS: Final = (
    "appendfsync",
    "appendonly",
    "aof-use-rdb-preamble",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "lazyfree-lazy-user-del",
    "maxmemory",
    "maxmemory-policy",
    "no-appendfsync-on-rewrite",
    "rdbcompression",
    "save",
)
BUSY: Final = {
    "aof_rewrite_in_progress": "aof_rewrites",
    "aof_rewrite_scheduled": "aof_rewrites_scheduled",
    "rdb_bgsave_in_progress": "snapshots",
    "aof_pending_bio_fsync": "pending_syncs",
    "aof_buffer_length": "unwritten_aof_bytes",
    "lazyfree_pending_objects": "objects_to_free",
    "loading": "loading",
    "active_defrag_running": "defragmentation",
}
"""Numbers of ``INFO`` that are 0 in an idle server, and what the signals are called."""

COUNTERS: Final = {
    "used_memory": "used_memory_bytes",
    "used_memory_rss": "resident_bytes",
    "allocator_active": "allocator_active_bytes",
    "aof_current_size": "aof_bytes",
    "total_commands_processed": "commands",
    "total_net_input_bytes": "received_bytes",
    "rdb_changes_since_last_save": "changes_since_snapshot",
}
"""Numbers of ``INFO``, and what they are called in a trace."""

_REPLICATION: Final = ("mem_replication_backlog", "mem_clients_slaves")
_CHILDREN: Final = (
    "rdb_bgsave_in_progress",
    "aof_rewrite_in_progress",
    "aof_rewrite_scheduled",
)
LOOK_S: Final = 0.02
"""Between two looks at what is waited for."""

Pause = Callable[[float], object]
"""Waits so many seconds on a server."""

_ATTEMPTS: Final = 10
_WAIT_STEPS: Final = 30_000
_SYNC_S: Final = 2.1
_SYNCED_MS: Final = b"60000"


def info(redis: Resp) -> dict[str, str]:
    """Return what ``INFO`` tells, by name."""
    lines = redis.call(b"INFO").decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def numbers(found: Mapping[str, str], names: Mapping[str, str]) -> dict[str, int]:
    """Return numbers of what ``INFO`` told, under our names; those that the server has."""
    return {ours: int(found[name]) for name, ours in names.items() if name in found}


def setting(redis: Resp, name: str) -> str:
    """Return a setting in force; empty where the server has none of that name."""
    answer: list[Any] = redis.call(b"CONFIG", b"GET", name.encode())
    return answer[1].decode() if answer else ""


def identity(redis: Resp) -> tuple[str, str, str, dict[str, str], str]:
    """Return product, version, port, settings with the allocator, and the id of this run.

    Nothing else stays what it is over a restart.
    """
    found = info(redis)
    product = "Valkey" if found.get("server_name") == "valkey" else "Redis"
    version = found.get("valkey_version") or found["redis_version"]
    configuration = {name: setting(redis, name) for name in _SETTINGS}
    configuration["mem_allocator"] = found.get("mem_allocator", "")
    return product, version, f"port {found['tcp_port']}", configuration, found["run_id"]


def memory(redis: Resp) -> tuple[dict[str, int], str]:
    """Return the parts of ``used_memory``, and the allocator.

    ``dataset``; ``replication``: what is kept for replicas, where there are any; ``overhead``:
    everything else.

    Raises
    ------
    ProbeError
        If the server does not tell.
    """
    found = info(redis)
    try:
        dataset, overhead = (int(found[f"used_memory_{k}"]) for k in ("dataset", "overhead"))
    except KeyError as error:
        raise ProbeError(f"redis: INFO tells nothing of {error}") from error
    parts = {"dataset": dataset, "overhead": overhead}
    if found.get("connected_slaves", "0") != "0":
        kept = sum(int(found.get(name, "0")) for name in _REPLICATION)
        parts |= {"replication": kept, "overhead": overhead - kept}
    return parts, found.get("mem_allocator", "allocator unknown")


def wait_for_sync(redis: Resp, replicas: Iterable[Resp], pause: Pause) -> None:
    """Wait for the AOF's own sync, of a server and of its replicas, which have everything.

    By ``WAITAOF``, where the server has it (since 7.2).

    Raises
    ------
    SystemUnavailable
        If a replica does not say within a minute that it has synced.
    """
    others = list(replicas)
    wanted = [1, len(others)]
    try:
        found = redis.call(b"WAITAOF", *(b"%d" % number for number in wanted), _SYNCED_MS)
    except OperationFailed as error:
        if "unknown command" not in str(error).lower():
            raise
        # It can't be asked for: the server syncs once a second what it has written.
        pause(_SYNC_S)
        for one in (redis, *others):
            _wait_for(one, pause, "aof_pending_bio_fsync", "aof_buffer_length")
    else:
        if found[1] < wanted[1]:
            raise SystemUnavailable(
                f"redis: {found[1]} of {wanted[1]} replicas have synced their AOF after a minute; "
                "see their logs"
            )


def snapshot(redis: Resp, pause: Pause) -> None:
    """Take a snapshot by ``BGSAVE`` and wait for its end."""
    _begin(redis, pause, b"BGSAVE")
    _wait_for(redis, pause, *_CHILDREN)
    _check(redis, "rdb_last_bgsave_status")


def rewrite(redis: Resp, pause: Pause) -> None:
    """Rewrite the AOF by ``BGREWRITEAOF`` and wait for its end."""
    _begin(redis, pause, b"BGREWRITEAOF")
    _wait_for(redis, pause, *_CHILDREN)
    _check(redis, "aof_last_bgrewrite_status")


def _begin(redis: Resp, pause: Pause, command: bytes) -> None:
    """Begin a snapshot or a rewrite, after those that the server began itself."""
    for _ in range(_ATTEMPTS):
        _wait_for(redis, pause, *_CHILDREN)
        try:
            redis.call(command)
        except OperationFailed as error:
            if "in progress" not in str(error):
                raise
        else:
            return
    raise OperationFailed(f"redis: {command.decode()} was refused: another one always runs")


def _wait_for(redis: Resp, pause: Pause, *names: str) -> None:
    for _ in range(_WAIT_STEPS):
        found = info(redis)
        if all(found.get(name, "0") == "0" for name in names):
            return
        pause(LOOK_S)
    raise OperationFailed(f"redis: {', '.join(names)} did not end after ten minutes")


def _check(redis: Resp, name: str) -> None:
    status = info(redis).get(name)
    if status != "ok":
        raise OperationFailed(f"redis: {name} is {status!r}; see the server's log")
