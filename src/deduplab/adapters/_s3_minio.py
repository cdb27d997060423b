"""What MinIO has beside S3: version, identity and settings, and a restart, which empties its trash.

Sources: MinIO documentation, "mc admin info", "mc admin service restart", "Environment
variables"; MinIO's own source for what is synced (``cmd/xl-storage.go``) and for when the
trash is emptied (``cmd/erasure-sets.go``, ``cmd/prepare-storage.go``).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from deduplab.adapters._rights import advice
from deduplab.adapters._s3_wire import Wire
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported

if TYPE_CHECKING:
    from minio import MinioAdmin

_POLL_S: Final = 0.05
_DEADLINE_S: Final = 60.0
_SYNC: Final = "MINIO_FS_OSYNC"
_COMPRESSION: Final = "MINIO_COMPRESSION_ENABLE"
_TOLD: Final = (
    _SYNC,
    _COMPRESSION,
    "MINIO_COMPRESSION_EXTENSIONS",
    "MINIO_COMPRESSION_MIME_TYPES",
    "MINIO_API_DELETE_CLEANUP_INTERVAL",
    "MINIO_API_ODIRECT",
    "MINIO_STORAGE_CLASS_INLINE_BLOCK",
    "MINIO_STORAGE_CLASS_STANDARD",
)


def server_info(wire: Wire) -> dict[str, Any]:
    """Return the answer to ``mc admin info``; the user needs ``admin:ServerInfo``.

    Raises
    ------
    OperationFailed
        If the user may not ask.
    SystemUnavailable
        If there is no other answer, or no server is online.
    """
    answer: dict[str, Any] = json.loads(_asked(wire, "ServerInfo", lambda admin: admin.info()))
    if not answer.get("servers"):
        raise SystemUnavailable("minio tells of no server that is online")
    return answer


def restart(wire: Wire) -> None:
    """Have the server start anew in its own process, and wait until it answers again.

    At its start it puts what lies in its trash aside and removes it in the background.

    Raises
    ------
    Unsupported
        If it is not a private instance: a restart ends everybody's requests.
    OperationFailed
        If the user may not do that.
    SystemUnavailable
        If it does not come back within a minute.
    """
    if wire.endpoint.directory is None:
        raise Unsupported(
            "minio: 'restart' ends everybody's requests, so only a private instance is restarted; "
            "a server empties its trash by itself, five minutes after its start for the first time"
        )
    before = _uptime_s(wire)
    _asked(wire, "ServiceRestart", lambda admin: admin.service_restart())
    # What answers until it closes its port is the old one, unless it is younger than that.
    _wait_until(lambda: (found := _uptime_s(wire)) is None or found < (before or 0), "to end")
    _wait_until(lambda: _uptime_s(wire) is not None, "to answer again")
    wire.http.clear()


def _uptime_s(wire: Wire) -> int | None:
    """Return for how many seconds the server has been up; None while it can't be asked."""
    try:
        uptime: int | None = server_info(wire)["servers"][0].get("uptime")
    except SystemUnavailable:
        return None
    return uptime


def _wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Look again and again until it is so; after the deadline no look begins.

    One that has begun by then is waited for, as long as for any answer (``TIMEOUT_S``).
    """
    # A number of looks would be no deadline: a server may hang in each. A timer, since
    # adapters have no clock.
    is_late = threading.Event()
    timer = threading.Timer(_DEADLINE_S, is_late.set)
    timer.start()
    try:
        while not is_so():
            if is_late.wait(_POLL_S):
                raise SystemUnavailable(f"minio was to restart, and took more than a minute {what}")
    finally:
        timer.cancel()


def _asked(wire: Wire, right: str, request: Callable[[MinioAdmin], str]) -> str:
    """Ask something of the administration; ``right`` is what a user needs for it."""
    from minio import MinioAdmin
    from minio.credentials.providers import StaticProvider
    from minio.error import MinioAdminException

    assert wire.endpoint.secret is not None
    admin = MinioAdmin(
        endpoint=wire.address,
        credentials=StaticProvider(wire.endpoint.user or "", wire.endpoint.secret.reveal()),
        secure=wire.secure,
        http_client=wire.http,
    )
    try:
        return wire.ask(lambda: request(admin))
    except MinioAdminException as error:
        if "AccessDenied" in str(error):
            raise OperationFailed(
                f"minio refused admin:{right} (AccessDenied); {advice('minio')}"
            ) from error
        raise SystemUnavailable(f"minio does not answer its administrator: {error}") from error


def settings(info: dict[str, Any]) -> dict[str, str]:
    """Return the settings that matter here, as the first server's environment has them."""
    environment = info["servers"][0].get("minio_env_vars") or {}
    backend = info.get("backend") or {}
    return {
        **{name: str(environment[name]) for name in _TOLD if name in environment},
        "backend": str(backend.get("backendType", "")),
        "drives": str(sum(len(server.get("drives") or ()) for server in info["servers"])),
        "parity": str(backend.get("standardSCParity", "")),
    }


def check(info: dict[str, Any], *, variant: str, durability: str) -> None:
    """Refuse a server that is not set as the variant and the durability need it.

    Raises
    ------
    Unsupported
        With the variable to set.
    """
    told = settings(info)
    wanted = {_SYNC: durability == "fsync", _COMPRESSION: variant == "compression"}
    for name, on in wanted.items():
        found = told.get(name, "off")
        if (found == "on") is not on:
            raise Unsupported(
                f"variant {variant!r} with durability {durability!r} needs {name} = "
                f"{'on' if on else 'off'} in the environment of minio, but this server runs "
                f"with {found}"
            )
