"""From a kubeconfig, or from inside a pod, to a connection as somebody.

The same rules as kubectl's: ``--kubeconfig``, else the files of ``KUBECONFIG``, else
``~/.kube/config``, else the service account of the pod that we run in.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deduplab.errors import PlanError
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.extra import missing

if TYPE_CHECKING:
    from kubernetes.client.configuration import Configuration

_OF_THE_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT: Final = "default"


def connect(kubeconfig: Path | None, context: str | None, namespace: str | None) -> Cluster:
    """Return the namespace of a cluster; nothing is asked of the server yet.

    Parameters
    ----------
    kubeconfig, context
        None takes what the user works with anyway.
    namespace
        None takes that of the context, else ``default``.

    Raises
    ------
    PlanError
        If there is no kubeconfig, it can't be used, or has no such context.
    SystemUnavailable
        If the client library is not installed.
    """
    try:
        from kubernetes.client.api_client import ApiClient
        from kubernetes.client.configuration import Configuration
    except ImportError as error:
        raise missing(error) from error
    settings = Configuration()
    settings.retries = False  # a failure is told at once
    files = _files(kubeconfig)
    found = _from_files(files, context, settings) if files else _from_inside(settings)
    return Cluster(ApiClient(settings), namespace or found or _DEFAULT)


def _files(kubeconfig: Path | None) -> str | None:
    """Return the files of the configuration as one text; None if we are in a pod without any."""
    named = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    files = named or str(Path("~/.kube/config").expanduser())
    if any(Path(one).expanduser().is_file() for one in files.split(os.pathsep) if one):
        return files
    if not named and "KUBERNETES_SERVICE_HOST" in os.environ:
        return None
    raise PlanError(f"there is no kubeconfig at {files}; name one with --kubeconfig or $KUBECONFIG")


def _from_files(files: str, context: str | None, settings: Configuration) -> str | None:
    import yaml
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

    try:
        loader = KubeConfigLoader(
            KubeConfigMerger(files).config, active_context=context, config_base_path=None
        )
        loader.load_and_set(settings)
        chosen: dict[str, dict[str, str]] = loader.current_context
    except (ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise PlanError(
            f"the kubeconfig {files} can't be used: {said}; see --context and --kubeconfig, and "
            "kubectl config get-contexts"
        ) from error
    return chosen["context"].get("namespace")


def _from_inside(settings: Configuration) -> str | None:
    from kubernetes.config import ConfigException, load_incluster_config

    try:
        load_incluster_config(client_configuration=settings)
        return _OF_THE_POD.read_text().strip()
    except (ConfigException, OSError) as error:
        raise PlanError(f"the service account of this pod can't be used: {error}") from error
