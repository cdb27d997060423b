"""SeaweedFS' Unix sockets: it makes some in ``/tmp``, by names of its own, and leaves them there.

Its parts listen for each other at ``/tmp/seaweedfs-PART-grpc-PORT.sock``; neither an
option nor ``TMPDIR`` moves them (4.48).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path("/tmp")  # noqa: S108 - the product's choice
_PATTERN: Final = "seaweedfs-*-grpc-{port}.sock"


def remove_of_ports(ports: Iterable[int], directory: Path = DIRECTORY) -> None:
    """Remove the sockets of an instance that has ended, known by its gRPC ports."""
    for port in ports:
        _remove_dead(directory.glob(_PATTERN.format(port=port)))


def sweep(directory: Path = DIRECTORY) -> None:
    """Remove our user's sockets that nobody listens at: left by instances that were killed."""
    _remove_dead(directory.glob(_PATTERN.format(port="*")))


def _remove_dead(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            if path.is_socket() and path.stat().st_uid == os.geteuid() and _is_dead(path):
                path.unlink()
        except FileNotFoundError:
            continue  # another run swept it


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
