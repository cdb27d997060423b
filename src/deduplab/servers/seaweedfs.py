"""A private SeaweedFS: master, volume server, filer and S3 gateway in one process, on loopback.

See docs/systems/seaweedfs.md for every setting that differs from the product's
default, and why.
"""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deduplab.registry import driver_missing, system
from deduplab.server import Client, Endpoint
from deduplab.servers import _seaweedfs_sockets as sockets
from deduplab.servers._environment import server_environment
from deduplab.servers._private_server import (
    USER,
    PrivateServer,
    new_secret,
    write_private,
)
from deduplab.servers._s3_environment import s3_environment
from deduplab.servers._seaweedfs_binaries import find

VOLUME_LIMIT_MB: Final = 1024
MOST_VOLUMES: Final = 1000

ACTIONS: Final = ("Admin",)
"""What the lab's user may do, on buckets whose name begins with ``deduplab-``.

Only Admin makes and drops buckets; on them it comprises Read, Write, List and Tagging.
"""

_GRANTS: Final = """\
# In "weed shell". Admin makes and drops the lab's own buckets, and comprises all else on them.
s3.configure -user {user} -access_key {user} -secret_key <password> \
-actions {actions} -buckets deduplab-{namespace}* -apply
"""

_WORDS: Final = """\
This is the administrator's shell; help lists its commands, as fs.ls /buckets.
"""

_KEYS: Final = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)
"""Variables of the keys that the parts of the server sign their requests to each other with."""

_PORTS: Final = ("master.port", "volume.port", "filer.port", "s3.port")


class SeaweedfsServer(PrivateServer):
    """One private SeaweedFS instance."""

    product = "seaweedfs"
    title = "SeaweedFS"
    durabilities = ("none",)
    # The filer waits 15 s for its own gateway to hang up, which it does not; so force comes early.
    stop_steps = ((signal.SIGTERM, 1.0),)
    ready_s = 90.0
    taken = "address already in use"

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        self._identities = workspace / "s3.json"
        self._keys: dict[str, str] = {}
        self._grpc_ports: dict[str, int] = {}

    @classmethod
    def grants(cls, user: str = USER, namespace: str = "deduplab") -> str:
        """Return a command for ``weed shell``, for buckets ``deduplab-namespace..`` alone."""
        return _GRANTS.format(user=user, namespace=namespace, actions=",".join(ACTIONS))

    @classmethod
    def client(cls, endpoint: Endpoint, directory: Path) -> Client:
        """Return ``weed shell``, which needs no login, in an environment for S3's clients."""
        servers = [f"-{name}={endpoint.options[f'shell.{name}']}" for name in ("master", "filer")]
        return Client((str(find()), "shell", *servers), s3_environment(endpoint), _WORDS)

    @classmethod
    def sweep(cls) -> None:
        """Remove sockets that nobody listens at."""
        sockets.sweep()

    def stop(self) -> None:
        """Shut down in order, then by force; its sockets in /tmp go with it."""
        was_up = self._child is not None
        super().stop()
        if was_up:
            sockets.remove_of_ports(self._grpc_ports.values())

    def _prepare(self) -> None:
        self._program = find()
        sockets.sweep()
        if self._secret is not None:
            return
        self.data.mkdir(mode=0o700)
        secret = new_secret()
        identity = {
            "name": USER,
            "credentials": [{"accessKey": USER, "secretKey": secret.reveal()}],
            "actions": [f"{action}:deduplab-*" for action in ACTIONS],
        }
        write_private(self._identities, json.dumps({"identities": [identity]}))
        self._keys = {name: secrets.token_urlsafe(24) for name in _KEYS}
        self._secret = secret

    def _start_once(self) -> Endpoint:
        ports = {name: self._port(name) for name in _PORTS}
        # Else it would be the port and 10000, which may be taken or be no port.
        self._grpc_ports = {name: self._port(name) for name in (f"{one}.grpc" for one in _PORTS)}
        addresses = {
            "master": f"127.0.0.1:{ports['master.port']}",
            "volumes": f"127.0.0.1:{ports['volume.port']}",
            # As the product's shell takes them, with the port of gRPC behind.
            **{f"shell.{name}": self._with_grpc(name, ports) for name in ("master", "filer")},
        }
        endpoint = self._reached_at(ports["s3.port"], options=addresses)
        self._launch(
            [str(self._program), "-logtostderr=true", "server", *self._arguments(ports)],
            lambda: _answers(endpoint),
            environment=self._environment(),
        )
        return endpoint

    def _with_grpc(self, part: str, ports: dict[str, int]) -> str:
        name = f"{part}.port"
        return f"127.0.0.1:{ports[name]}.{self._grpc_ports[f'{name}.grpc']}"

    def _arguments(self, ports: dict[str, int]) -> list[str]:
        options: dict[str, object] = {
            **ports,
            **self._grpc_ports,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            # Relative to the workspace: it is a list, and a path may have a comma.
            "dir": self.data.name,
            "filer": "true",
            "s3": "true",
            "s3.config": self._identities,
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            # Relative to the workspace: a socket's name may have 107 letters only.
            "filer.localSocket": "filer.sock",
            "s3.localSocket": "s3.sock",
            "master.telemetry": "false",
            # Else a restarted one waits 20 s before it leads itself.
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": VOLUME_LIMIT_MB,
            "volume.max": MOST_VOLUMES,
            "volume.preStopSeconds": 0,
        }
        return [f"-{name}={value}" for name, value in options.items()]

    def _environment(self) -> Mapping[str, str]:
        return server_environment(HOME=str(self.workspace), **self._keys)


def _answers(endpoint: Endpoint) -> bool:
    """Whether the user can log in at the gateway, and the volume server is known to the master."""
    try:
        import urllib3
        from minio import Minio
        from minio.error import MinioException
    except ImportError as error:
        raise driver_missing(system("seaweedfs"), error) from error
    assert endpoint.secret is not None
    http = urllib3.PoolManager(timeout=5.0, retries=False)
    client = Minio(
        f"127.0.0.1:{endpoint.port}",
        endpoint.user,
        endpoint.secret.reveal(),
        secure=False,
        region="us-east-1",
        http_client=http,
    )
    try:
        client.list_buckets()
        topology = http.request("GET", f"http://{endpoint.options['master']}/dir/status").json()
    except (MinioException, urllib3.exceptions.HTTPError, ValueError):
        return False
    finally:
        http.clear()
    return bool(topology.get("TopologyId")) and topology.get("Topology", {}).get("Max", 0) > 0
