"""A private control plane of Kubernetes on loopback: real but for the kubelets.

API server, controller manager, scheduler and etcd are the projects' own. Nodes and pods are
played by KWOK: a pod that is scheduled becomes ready at once, and one that is deleted is gone.
No container ever runs. It lies in a directory of its own and ends with its owner.
"""

from __future__ import annotations

import json
import secrets
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deduplab.servers._process import ChildProcess, free_port, started_on_a_free_port
from tests.kubernetes.programs import STAGES

ADMIN: Final = "admin"
USERS: Final = (ADMIN, "operator", "nobody")
"""The first may do everything, the others what a test grants them."""

NODES: Final = ("node-1", "node-2")
AUDIT_POLICY: Final = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""
_UNHELD: Final = ("--kube-api-qps=500", "--kube-api-burst=1000")  # there is nobody to spare
_ALONE: Final = ("--leader-elect=false", "--secure-port=0", *_UNHELD)
_UP_S: Final = 60.0
_STOP: Final = ((signal.SIGTERM, 5.0),)


class ControlPlane:
    """A control plane that runs.

    Parameters
    ----------
    programs
        The folder of the programs.
    directory
        An empty one.
    """

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        self._children: list[ChildProcess] = []
        self.tokens = {user: secrets.token_hex(16) for user in USERS}
        self.url = ""
        self.authority = directory / "certificates" / "apiserver.crt"
        self.audit_log = directory / "audit.log"

    @contextmanager
    def up(self) -> Iterator[ControlPlane]:
        """Bring everything up, and take it down at the end."""
        self._write_files()
        try:
            started_on_a_free_port(self._start_server, self._port_is_taken)
            self._start_helpers()
            for name in NODES:
                self.request("POST", "/api/v1/nodes", _node(name))
            yield self
        finally:
            self._stop()

    def kubeconfig(self, user: str, path: Path, namespace: str = "default") -> Path:
        """Write a kubeconfig for a user, whose context has his name."""
        user_part = {"token": self.tokens.get(user, secrets.token_hex(16))}
        cluster = {"server": self.url, "certificate-authority": str(self.authority)}
        context = {"cluster": "private", "user": user, "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": user,
            "clusters": [{"name": "private", "cluster": cluster}],
            "users": [{"name": user, "user": user_part}],
            "contexts": [{"name": user, "context": context}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))  # which is YAML
        return path

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """Ask the server as its administrator, past all code that is tested.

        A body that is text already goes as it is.
        """
        text = body if isinstance(body, str) else json.dumps(body)
        asked = urllib.request.Request(
            self.url + path,
            None if body is None else text.encode(),
            {"Authorization": f"Bearer {self.tokens[ADMIN]}", "Content-Type": content_type},
            method=method,
        )
        trusted = ssl.create_default_context(cafile=str(self.authority))
        with urllib.request.urlopen(asked, timeout=30, context=trusted) as answer:
            return json.loads(answer.read())

    def may(self, user: str, path: str) -> bool:
        """Whether the server lets a user read at a path."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}"}
        asked = urllib.request.Request(self.url + path, headers=headers)
        trusted = ssl.create_default_context(cafile=str(self.authority))
        try:
            urllib.request.urlopen(asked, timeout=30, context=trusted).close()
        except urllib.error.HTTPError:
            return False
        return True

    def audited(self, user: str) -> list[dict[str, Any]]:
        """Return what a user asked for so far, as the server's own audit log has it."""
        lines = self.audit_log.read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in events if event["user"].get("username") == user]

    def _write_files(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        account_key = self._directory / "accounts.key"
        account_key.touch(mode=0o600)
        account_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        tokens = self._directory / "tokens.csv"
        tokens.touch(mode=0o600)
        groups = {ADMIN: '"system:masters"'}
        lines = (f"{t},{user},{user},{groups.get(user, '')}" for user, t in self.tokens.items())
        tokens.write_text("\n".join(lines) + "\n")
        (self._directory / "audit.yaml").write_text(AUDIT_POLICY)

    def _start_server(self) -> None:
        """Start etcd and the API server, and wait until it is ready."""
        self._stop()
        store, peers, port = free_port(), free_port(), free_port()
        store_url, peers_url = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{peers}"
        self.url = f"https://127.0.0.1:{port}"
        self._start(
            "etcd",
            f"--data-dir={self._directory / 'etcd'}",
            *(f"--{what}-client-urls={store_url}" for what in ("listen", "advertise")),
            *(f"--{what}-peer-urls={peers_url}" for what in ("listen", "initial-advertise")),
            f"--initial-cluster=default={peers_url}",
            "--unsafe-no-fsync",
        )
        accounts = self._directory / "accounts.key"
        server = self._start(
            "kube-apiserver",
            f"--etcd-servers={store_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={self.authority.parent}",
            f"--token-auth-file={self._directory / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={accounts}",
            f"--service-account-signing-key-file={accounts}",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--audit-policy-file={self._directory / 'audit.yaml'}",
            f"--audit-log-path={self.audit_log}",
        )
        server.wait_ready(self._is_ready, deadline_s=_UP_S)

    def _is_ready(self) -> bool:
        with suppress(OSError):  # an HTTPError, a certificate that is not there yet
            asked = urllib.request.Request(
                f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.tokens[ADMIN]}"}
            )
            trusted = ssl.create_default_context(cafile=str(self.authority))
            with urllib.request.urlopen(asked, timeout=5, context=trusted) as answer:
                return bool(answer.read() == b"ok")
        return False

    def _start_helpers(self) -> None:
        config = f"--kubeconfig={self.kubeconfig(ADMIN, self._directory / 'kubeconfig')}"
        self._start(
            "kube-controller-manager",
            config,
            f"--service-account-private-key-file={self._directory / 'accounts.key'}",
            f"--root-ca-file={self.authority}",
            "--node-monitor-grace-period=24h",  # nodes have no heartbeat
            *_ALONE,
        )
        self._start("kube-scheduler", config, *_ALONE)
        stages = f"--config={self._programs / STAGES}"
        self._start("kwok", config, stages, "--manage-all-nodes=true")

    def _start(self, name: str, *arguments: str) -> ChildProcess:
        log = self._directory / f"{name}.log"
        command = [str(self._programs / name), *arguments]
        child = ChildProcess(name, command, log=log, directory=self._directory)
        self._children.append(child)
        return child

    def _port_is_taken(self) -> bool:
        logs = (self._directory / f"{name}.log" for name in ("etcd", "kube-apiserver"))
        return any("address already in use" in log.read_text() for log in logs if log.exists())

    def _stop(self) -> None:
        for child in reversed(self._children):
            child.stop(_STOP)
        self._children.clear()


def until(ready: Any, what: str, deadline_s: float = 30.0) -> Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + deadline_s
    while not (found := ready()):
        assert time.monotonic() < end, f"not after {deadline_s:g} s: {what}"
        time.sleep(0.05)
    return found


def nobody_listens() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _node(name: str) -> dict[str, Any]:
    room = {"cpu": "64", "memory": "256Gi", "pods": "500"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": room, "capacity": room},
    }
