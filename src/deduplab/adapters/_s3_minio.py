"""What MinIO tells beside S3: its version, its identity and its settings.

Sources: MinIO documentation, "mc admin info", "Environment variables"; MinIO's
own source for what is synced (``cmd/xl-storage.go``).
"""

from __future__ import annotations

import json
from typing import Any, Final

from deduplab.adapters._rights import advice
from deduplab.adapters._s3_wire import Wire
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported

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
        answer: dict[str, Any] = json.loads(wire.ask(admin.info))
    except MinioAdminException as error:
        if "AccessDenied" in str(error):
            raise OperationFailed(
                f"minio refused admin:ServerInfo (AccessDenied); {advice('minio')}"
            ) from error
        raise SystemUnavailable(f"minio does not tell who it is: {error}") from error
    if not answer.get("servers"):
        raise SystemUnavailable("minio tells of no server that is online")
    return answer


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
