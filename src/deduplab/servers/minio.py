"""A private MinIO: one drive, on loopback, for one user with few rights.

See docs/systems/minio.md for every setting that differs from the product's
default, and why.
"""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.registry import driver_missing, system
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers._minio_binaries import find
from deduplab.servers._process import (
    ChildProcess,
    free_port,
    log_tail,
    started_on_a_free_port,
)

if TYPE_CHECKING:
    from minio import MinioAdmin

USER: Final = "deduplab"
POLICY: Final = "deduplab-lab"
_ROOT: Final = "deduplab-root"
_READY_S: Final = 60.0
_STOP_STEPS: Final = ((signal.SIGTERM, 20.0),)

_SYNC: Final = {"fsync": "on", "interval": "off"}
_VARIANT: Final = {
    "compression": {
        "MINIO_COMPRESSION_ENABLE": "on",
        "MINIO_COMPRESSION_EXTENSIONS": "",
        "MINIO_COMPRESSION_MIME_TYPES": "*",
    }
}

RIGHTS: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["admin:ServerInfo"]},
        {
            "Effect": "Allow",
            "Action": ["s3:ListAllMyBuckets"],
            "Resource": ["arn:aws:s3:::*"],
        },
        {
            "Effect": "Allow",
            "Action": [
                "s3:CreateBucket",
                "s3:DeleteBucket",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:GetBucketTagging",
                "s3:GetObject",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:PutBucketTagging",
                "s3:PutBucketVersioning",
                "s3:PutObject",
            ],
            "Resource": ["arn:aws:s3:::deduplab-*"],
        },
    ],
}
"""What the lab's user may do: these actions, on buckets whose name begins with ``deduplab-``."""

GRANTS: Final = (
    "mc admin user add ALIAS deduplab <secret>",
    f"mc admin policy create ALIAS {POLICY} policy.json",
    f"mc admin policy attach ALIAS {POLICY} --user deduplab",
)
"""For an administrator of a server that runs already; ``policy.json`` is :data:`RIGHTS`."""


class MinioServer(Server):
    """One private MinIO instance."""

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        if durability not in _SYNC:
            raise Unsupported(f"minio has no durability {durability!r}; it has: {[*_SYNC]}")
        self.data = workspace / "data"
        self.log = workspace / "minio.log"
        self._child: ChildProcess | None = None
        self._root: Secret | None = None
        self._secret: Secret | None = None

    def start(self) -> Endpoint:
        """Start the server, and make its user and the user's rights where there are none yet.

        Raises
        ------
        SystemUnavailable
            If there is no program, or the server does not answer by the deadline
            (with the end of its log).
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"the MinIO in {self.workspace} runs already")
        program = find()
        self.data.mkdir(mode=0o700, exist_ok=True)
        return started_on_a_free_port(
            lambda: self._start_at(program, free_port()),
            lambda: "already in use" in log_tail(self.log),
        )

    def stop(self) -> None:
        """Shut down in order, then by force."""
        if self._child is not None:
            self._child.stop(_STOP_STEPS)
            self._child = None

    def processes(self) -> tuple[int, ...]:
        """Return the id of the server."""
        return self._child.process_ids() if self._child is not None else ()

    def _start_at(self, program: Path, port: int) -> Endpoint:
        root = self._root = self._root or Secret(secrets.token_urlsafe(24))
        self._child = ChildProcess(
            "minio",
            [str(program), "server", "--address", f"127.0.0.1:{port}", "--json", str(self.data)],
            log=self.log,
            environment=self._environment(root),
            directory=self.workspace,
        )
        try:
            admin = _administrator(port, root)
            self._child.wait_ready(lambda: _is_ready(admin), deadline_s=_READY_S)
            if self._secret is None:
                self._secret = _make_user(admin)
        except BaseException:
            self.stop()
            raise
        return Endpoint(
            directory=self.data,
            host="127.0.0.1",
            port=port,
            user=USER,
            secret=self._secret,
            options={"scheme": "http"},
        )

    def _environment(self, root: Secret) -> dict[str, str]:
        """Return our environment without MinIO's variables, and with those of this instance."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
        return {
            **kept,
            "HOME": str(self.workspace),
            "MINIO_ROOT_USER": _ROOT,
            "MINIO_ROOT_PASSWORD": root.reveal(),
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
            "MINIO_API_DELETE_CLEANUP_INTERVAL": "500ms",
            "MINIO_FS_OSYNC": _SYNC[self.durability],
            **_VARIANT.get(self.variant, {}),
        }


def _administrator(port: int, root: Secret) -> MinioAdmin:
    try:
        import urllib3
        from minio import MinioAdmin
        from minio.credentials.providers import StaticProvider
    except ImportError as error:
        raise driver_missing(system("minio"), error) from error
    return MinioAdmin(
        endpoint=f"127.0.0.1:{port}",
        credentials=StaticProvider(_ROOT, root.reveal()),
        secure=False,
        http_client=urllib3.PoolManager(timeout=10.0, retries=False),
    )


def _is_ready(admin: MinioAdmin) -> bool:
    """Whether the administrator gets an answer, and users and policies can be made."""
    from minio.error import MinioAdminException, MinioException
    from urllib3.exceptions import HTTPError

    try:
        admin.policy_list()
    except (MinioAdminException, MinioException, HTTPError):
        return False
    return True


def _make_user(admin: MinioAdmin) -> Secret:
    """Make the lab's user with :data:`RIGHTS`; return its secret."""
    from minio.error import MinioAdminException, MinioException
    from urllib3.exceptions import HTTPError

    secret = Secret(secrets.token_urlsafe(24))
    try:
        admin.policy_add(POLICY, policy=RIGHTS)
        admin.user_add(USER, secret.reveal())
        admin.policy_set(POLICY, user=USER)
    except (MinioAdminException, MinioException, HTTPError) as error:
        raise SystemUnavailable(f"the fresh MinIO refuses a user: {error}") from error
    return secret
