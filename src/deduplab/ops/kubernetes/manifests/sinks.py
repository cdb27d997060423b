"""The file of sinks in a cluster, and what a pod has to have for them.

It holds references to secrets and no secret, so it lies in a ConfigMap as the plan does.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from deduplab.errors import PlanError
from deduplab.ops.kubernetes.manifests.settings import RESULTS_PATH
from deduplab.ops.kubernetes.manifests.text_file import TextFile
from deduplab.sinks import sinks_file
from deduplab.sinks.json_lines import JsonLinesSettings
from deduplab.sinks.outside import Elsewhere
from deduplab.sinks.prometheus import PrometheusSettings

_ANY: Final = "0.0.0.0"  # noqa: S104 - of a pod, which others are to reach


@dataclass(frozen=True, slots=True)
class Sinks:
    """A file of sinks that a pod can use.

    Parameters
    ----------
    file
        The file that the pod reads it from.
    variables, paths
        Environment variables and files that it refers to.
    port
        Where others reach its endpoint for Prometheus; None where they can't, or there is none.
    remark
        What a person should know of that; maybe empty.
    """

    file: TextFile
    variables: tuple[str, ...]
    paths: tuple[str, ...]
    port: int | None
    remark: str


def read(path: Path) -> Sinks:
    """Read a file of sinks for a pod; no secret that it refers to is looked up.

    Raises
    ------
    PlanError
        If the file is wrong, or a sink can't work in a pod.
    """
    text = sinks_file.text_of(path)
    elsewhere = Elsewhere()
    port, remark = None, ""
    for settings in sinks_file.parse(text, str(path), elsewhere):
        if isinstance(settings, JsonLinesSettings):
            _require_kept(settings.path, path)
        elif isinstance(settings, PrometheusSettings):
            port, remark = _endpoint(settings, path)
    references = [one.partition(":") for one in elsewhere.secrets]
    return Sinks(
        file=TextFile("sinks", "/etc/deduplab-sinks", "sinks.toml", text),
        variables=tuple(where for kind, _, where in references if kind == "env"),
        paths=(*(where for kind, _, where in references if kind == "file"), *elsewhere.files),
        port=port,
        remark=remark,
    )


def _require_kept(file: Path, origin: Path) -> None:
    """Refuse a file that the pod can't write, or that would be gone with it."""
    if ".." in file.parts or RESULTS_PATH not in map(str, PurePosixPath(file).parents):
        raise PlanError(
            f"{origin}: json_lines: {str(file)!r} would be gone with the pod, or can't be written "
            f'there; its claim for results is kept: path = "{RESULTS_PATH}/{file.name}"'
        )


def _endpoint(settings: PrometheusSettings, origin: Path) -> tuple[int | None, str]:
    """Return the port that others reach, and what is to be said of the address."""
    host, port = settings.host, settings.port
    advice = f'listen = "{_ANY}:{port}"'
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is not None and address.is_unspecified:
        return port, ""
    if address is not None and address.is_loopback:
        return None, (
            f"the sink prometheus listens on {host}, which is the pod's own: a container beside "
            f"it could ask there, and no Prometheus elsewhere; for that one, {advice}"
        )
    raise PlanError(
        f"{origin}: prometheus: a pod has no address {host!r} before it is there: {advice}"
    )
