"""The verbs on objects of one namespace, over the connection that a kubeconfig describes.

The official client is used for transport and login alone: objects stay as the
server's JSON has them, so nothing is lost that a version of its models does not know.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from deduplab.errors import SystemUnavailable
from deduplab.ops.kubernetes.kinds import Kind, Object, kind_of, name_of
from deduplab.ops.kubernetes.refusals import Asked, refusal

if TYPE_CHECKING:
    from kubernetes.client.api_client import ApiClient

FIELD_MANAGER: Final = "deduplab"

_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 30.0
_PAGE: Final = 500
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"


class Cluster:
    """One namespace of a cluster.

    Parameters
    ----------
    client
        Connected as somebody.
    namespace
        Where all objects lie.
    """

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        self.address: str = client.configuration.host

    def listed(self, kind: Kind, selector: str = "") -> list[Object]:
        """Return all objects of a kind that a selector of labels picks, page by page.

        Raises
        ------
        SystemUnavailable
            If the server can't be reached or does not let us, here and in every verb below.
        """
        asked = Asked("list", kind, self.namespace)
        query = {"limit": str(_PAGE), "labelSelector": selector}
        found: list[Object] = []
        while True:
            page = self._request("GET", kind.path(self.namespace), asked, query)
            for item in page["items"]:  # they don't repeat what the list says of itself
                found.append({"apiVersion": kind.api_version, "kind": kind.name, **item})
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return found

    def get(self, kind: Kind, name: str) -> Object | None:
        """Return an object; None if it is not there."""
        asked = Asked("get", kind, self.namespace, name)
        path = kind.path(self.namespace, name)
        found: Object | None = self._request("GET", path, asked, absent_is_none=True)
        return found

    def patch(self, kind: Kind, name: str, patch: Object) -> Object | None:
        """Change an object by a merge patch; return what it is now, None if it is gone.

        Raises
        ------
        Conflict
            If it has changed since the ``resourceVersion`` that the patch holds.
        """
        asked = Asked("patch", kind, self.namespace, name)
        query = {"fieldManager": FIELD_MANAGER}
        path = kind.path(self.namespace, name)
        changed: Object | None = self._request(
            "PATCH", path, asked, query, patch, _MERGE, absent_is_none=True
        )
        return changed

    def apply(self, wanted: Object, *, dry_run: bool = False) -> Object:
        """Have the server make an object what a manifest says; unknown fields are refused.

        Raises
        ------
        OperationFailed
            If the server finds it invalid, or another's change stands against it.
        """
        kind, name = kind_of(wanted), name_of(wanted)
        asked = Asked("patch", kind, self.namespace, name)
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        path = kind.path(self.namespace, name)
        made: Object = self._request("PATCH", path, asked, query, wanted, _APPLY)
        return made

    def delete(self, kind: Kind, found: Object) -> None:
        """Delete exactly the object that was seen, with all that it owns.

        Raises
        ------
        Conflict
            If it is another one by now, or was changed.
        """
        metadata = found["metadata"]
        seen = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": seen,
        }
        asked = Asked("delete", kind, self.namespace, name_of(found))
        path = kind.path(self.namespace, name_of(found))
        self._request("DELETE", path, asked, body=body, absent_is_none=True)

    def _request(
        self,
        method: str,
        path: str,
        asked: Asked,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        *,
        absent_is_none: bool = False,
    ) -> Any:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        request = self._client.param_serialize(
            method,
            path,
            query_params=[(key, value) for key, value in (query or {}).items() if value],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=(_CONNECT_S, _ANSWER_S))
            data: bytes = answer.read()
        except (HTTPError, ApiException, OSError) as error:
            raise SystemUnavailable(_unreachable(self.address, error)) from error
        if absent_is_none and answer.status == 404:
            return None
        if answer.status >= 400:
            raise refusal(answer.status, data, asked)
        return _decoded(data, self.address)


def _decoded(data: bytes, address: str) -> Object:
    """Return an answer; whatever else listens at an address answers something else."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "metadata" not in found:
        raise SystemUnavailable(
            f"what answers at {address} is no API server of Kubernetes: {data[:60]!r}; "
            "see --context"
        )
    return found


def _unreachable(address: str, error: Exception) -> str:
    said = " ".join(str(getattr(error, "reason", None) or error).split())
    return (
        f"the API server {address} can't be reached: {said}; see that the cluster is up, and "
        "whether --context names the one that is meant"
    )
