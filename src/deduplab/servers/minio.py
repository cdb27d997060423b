"""A private MinIO: one drive, on loopback, for one user with few rights.

See docs/systems/minio.md for every setting that differs from the product's
default, and why.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deduplab.errors import SystemUnavailable
from deduplab.registry import driver_missing, system
from deduplab.server import Client, Endpoint, Secret
from deduplab.servers import _minio_rights as rights
from deduplab.servers._environment import server_environment
from deduplab.servers._minio_binaries import find
from deduplab.servers._private_server import (
    USER,
    PrivateServer,
    new_secret,
)
from deduplab.servers._s3_environment import s3_environment

if TYPE_CHECKING:
    from minio import MinioAdmin

_ROOT: Final = "deduplab-root"

_SYNC: Final = {"fsync": "on", "interval": "off"}
_VARIANT: Final = {
    "compression": {
        "MINIO_COMPRESSION_ENABLE": "on",
        "MINIO_COMPRESSION_EXTENSIONS": "",
        "MINIO_COMPRESSION_MIME_TYPES": "*",
    }
}

_RESTART: Final = "admin:ServiceRestart"
"""What the user may do beyond the rights on a server of somebody else's: nobody else is here."""

_GRANT_ATTEMPTS: Final = 5


_WORDS: Final = """\
Clients of S3 are logged in here: mc and rclone by the name lab, aws and others by variables, as in:
  mc mb lab/deduplab-mine      rclone mkdir lab:deduplab-mine      aws s3 mb s3://deduplab-mine
The user may do what a run needs: the names of its buckets begin with deduplab-.
"""


class MinioServer(PrivateServer):
    """One private MinIO instance."""

    product = "minio"
    title = "MinIO"
    durabilities = tuple(_SYNC)
    stop_steps = ((signal.SIGTERM, 20.0),)
    ready_s = 60.0
    taken = "already in use"

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._root = new_secret()

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return commands for MinIO's client, for buckets ``deduplab-namespace..`` alone."""
        return rights.grants(user, namespace)

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return an environment in which ``mc``, ``aws`` and ``rclone`` are logged in."""
        return Client((), s3_environment(endpoint), _WORDS)

    def _prepare(self) -> None:
        self._program = find()
        self.data.mkdir(mode=0o700, exist_ok=True)

    def _start_once(self) -> Endpoint:
        port = self._port()
        admin = _administrator(port, self._root)
        address = ["--address", f"127.0.0.1:{port}"]
        self._launch(
            [str(self._program), "server", *address, "--json", str(self.data)],
            lambda: _is_ready(admin),
            environment=self._environment(),
        )
        if self._secret is None:
            with self._stopped_on_error():
                self._secret = _make_user(admin)
        return self._reached_at(port)

    def _environment(self) -> Mapping[str, str]:
        own = {
            "HOME": str(self.workspace),
            "MINIO_ROOT_USER": _ROOT,
            "MINIO_ROOT_PASSWORD": self._root.reveal(),
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
            "MINIO_FS_OSYNC": _SYNC[self.durability],
            **_VARIANT.get(self.variant, {}),
        }
        return server_environment(**own)


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
    """Make the lab's user with its few rights; return its secret."""
    from minio.error import MinioAdminException, MinioException
    from urllib3.exceptions import HTTPError

    secret = new_secret()
    for attempt in range(1, _GRANT_ATTEMPTS + 1):
        try:
            admin.policy_add(rights.POLICY, policy=rights.policy(more=(_RESTART,)))
            admin.user_add(USER, secret.reveal())
            admin.policy_set(rights.POLICY, user=USER)
            break
        except (MinioAdminException, MinioException, HTTPError) as error:
            # A server that has just started reads its users and policies once more, and
            # forgets for a moment what came in between.
            if "NoSuch" not in str(error) or attempt == _GRANT_ATTEMPTS:
                raise SystemUnavailable(f"the fresh MinIO refuses a user: {error}") from error
    return secret
