"""A private SeaweedFS: master, volume server, filer and S3 gateway in one process, on loopback.

See docs/systems/seaweedfs.md for every setting that differs from the product's
default, and why.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from pathlib import Path
from typing import Final

from deduplab.errors import SystemUnavailable, Unsupported
from deduplab.registry import driver_missing, system
from deduplab.server import Endpoint, Secret, Server
from deduplab.servers import _seaweedfs_sockets as sockets
from deduplab.servers._process import (
    ChildProcess,
    free_port,
    log_tail,
    started_on_a_free_port,
)
from deduplab.servers._seaweedfs_binaries import find

USER: Final = "deduplab"
VOLUME_LIMIT_MB: Final = 1024
MOST_VOLUMES: Final = 1000
_READY_S: Final = 90.0
_STOP_STEPS: Final = ((signal.SIGTERM, 1.0),)
"""The filer waits 15 s for its own gateway to hang up, which it does not; so force comes early."""

ACTIONS: Final = tuple(
    f"{action}:deduplab-*" for action in ("Admin", "Read", "Write", "List", "Tagging")
)
"""What the lab's user may do, on buckets whose name begins with ``deduplab-``."""

GRANTS: Final = (
    "s3.configure -user deduplab -access_key deduplab -secret_key <secret> "
    "-actions Admin,Read,Write,List,Tagging -buckets deduplab-* -apply",
)
"""For an administrator of a server that runs already, in ``weed shell``."""

_KEYS: Final = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)
"""Variables of the keys that the parts of the server sign their requests to each other with."""

_PORTS: Final = ("master.port", "volume.port", "filer.port", "s3.port")


class SeaweedfsServer(Server):
    """One private SeaweedFS instance."""

    def __init__(self, workspace: Path, *, variant: str, durability: str) -> None:
        super().__init__(workspace, variant=variant, durability=durability)
        if durability != "none":
            raise Unsupported(f"seaweedfs has no durability {durability!r}; it has: ['none']")
        self.data = workspace / "data"
        self.log = workspace / "seaweedfs.log"
        self._identities = workspace / "s3.json"
        self._child: ChildProcess | None = None
        self._secret: Secret | None = None
        self._keys: dict[str, str] = {}
        self._grpc_ports: dict[str, int] = {}

    def start(self) -> Endpoint:
        """Write the user's rights where there are none yet, and start the server.

        Raises
        ------
        SystemUnavailable
            If there is no program, or the server does not answer by the deadline
            (with the end of its log).
        """
        if self._child is not None and self._child.running:
            raise SystemUnavailable(f"the SeaweedFS in {self.workspace} runs already")
        program = find()
        sockets.sweep()
        if self._secret is None:
            self._initialise()
        return started_on_a_free_port(
            lambda: self._start_at(program),
            lambda: "address already in use" in log_tail(self.log),
        )

    def stop(self) -> None:
        """Shut down in order, then by force."""
        if self._child is not None:
            self._child.stop(_STOP_STEPS)
            self._child = None
            sockets.remove_of_ports(self._grpc_ports.values())

    def processes(self) -> tuple[int, ...]:
        """Return the id of the server."""
        return self._child.process_ids() if self._child is not None else ()

    def _initialise(self) -> None:
        self.data.mkdir(mode=0o700)
        secret = Secret(secrets.token_urlsafe(24))
        identity = {
            "name": USER,
            "credentials": [{"accessKey": USER, "secretKey": secret.reveal()}],
            "actions": ACTIONS,
        }
        descriptor = os.open(self._identities, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"identities": [identity]}, file)
        self._keys = {name: secrets.token_urlsafe(24) for name in _KEYS}
        self._secret = secret

    def _start_at(self, program: Path) -> Endpoint:
        ports = {name: free_port() for name in _PORTS}
        # Else it would be the port and 10000, which may be taken or be no port.
        self._grpc_ports = {f"{name}.grpc": free_port() for name in _PORTS}
        self._child = ChildProcess(
            "seaweedfs",
            [str(program), "-logtostderr=true", "server", *self._arguments(ports)],
            log=self.log,
            environment=self._environment(),
            directory=self.workspace,
        )
        endpoint = Endpoint(
            directory=self.data,
            host="127.0.0.1",
            port=ports["s3.port"],
            user=USER,
            secret=self._secret,
            options={
                "scheme": "http",
                "master": f"127.0.0.1:{ports['master.port']}",
                "volumes": f"127.0.0.1:{ports['volume.port']}",
            },
        )
        try:
            self._child.wait_ready(lambda: _answers(endpoint), deadline_s=_READY_S)
        except BaseException:
            self.stop()
            raise
        return endpoint

    def _arguments(self, ports: dict[str, int]) -> list[str]:
        options: dict[str, object] = {
            **ports,
            **self._grpc_ports,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": self.data,
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
            "master.volumeSizeLimitMB": VOLUME_LIMIT_MB,
            "volume.max": MOST_VOLUMES,
            "volume.preStopSeconds": 0,
        }
        return [f"-{name}={value}" for name, value in options.items()]

    def _environment(self) -> dict[str, str]:
        """Return our environment without SeaweedFS' variables, and with this instance's keys."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WEED_")}
        return {**kept, "HOME": str(self.workspace), **self._keys}


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
