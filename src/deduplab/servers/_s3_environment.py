"""The environment in which the usual clients of S3 are logged in at a private instance."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from deduplab.server import Endpoint
from deduplab.servers._environment import environment_without

_REGION: Final = "us-east-1"


def s3_environment(endpoint: Endpoint) -> Mapping[str, str]:
    """Return our environment with the login of an instance, and without any other for S3.

    AWS' own tools and libraries take ``AWS_*`` (AWS SDKs and Tools Reference Guide,
    "Settings reference"), rclone a remote ``lab`` from ``RCLONE_CONFIG_LAB_*`` (rclone,
    "Environment Variables"), MinIO's client an alias ``lab`` from ``MC_HOST_lab``.
    """
    assert endpoint.secret is not None
    user, secret = str(endpoint.user), endpoint.secret.reveal()
    address = f"{endpoint.host}:{endpoint.port}"
    url = f"http://{address}"
    # A proxy of this machine's can't reach loopback, and is not to be asked.
    directly = ",".join(filter(None, (os.environ.get("NO_PROXY"), str(endpoint.host))))
    return environment_without(
        "AWS_",
        "RCLONE_CONFIG_LAB_",
        "MC_HOST_",
        AWS_ENDPOINT_URL=url,
        AWS_ACCESS_KEY_ID=user,
        AWS_SECRET_ACCESS_KEY=secret,
        AWS_REGION=_REGION,
        AWS_DEFAULT_REGION=_REGION,
        RCLONE_CONFIG_LAB_TYPE="s3",
        RCLONE_CONFIG_LAB_PROVIDER="Other",
        RCLONE_CONFIG_LAB_ENDPOINT=url,
        RCLONE_CONFIG_LAB_ACCESS_KEY_ID=user,
        RCLONE_CONFIG_LAB_SECRET_ACCESS_KEY=secret,
        RCLONE_CONFIG_LAB_REGION=_REGION,
        NO_PROXY=directly,
        no_proxy=directly,
        MC_HOST_lab=f"http://{user}:{secret}@{address}",
    )
