"""What the lab's user may do on a MinIO server, and not more: one policy, two uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

PREFIX: Final = "deduplab-"
"""The names of the lab's buckets begin with it."""

POLICY: Final = "deduplab-lab"
"""The name of the policy."""

# MinIO takes DeleteObject and ListBucket for versions too, where their own actions are not denied.
_ON_BUCKETS: Final = (
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:GetBucketTagging",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutObject",
)


def policy(namespace: str = "", more: Sequence[str] = ()) -> dict[str, Any]:
    """Return the policy: these actions, on buckets ``deduplab-namespace..`` alone.

    ``more`` are actions of the administration beyond the least.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["admin:ServerInfo", *more]},
            {
                "Effect": "Allow",
                "Action": ["s3:ListAllMyBuckets"],
                "Resource": ["arn:aws:s3:::*"],
            },
            {
                "Effect": "Allow",
                "Action": list(_ON_BUCKETS),
                "Resource": [f"arn:aws:s3:::{PREFIX}{namespace}*"],
            },
        ],
    }


def grants(user: str, namespace: str) -> str:
    """Return commands for a shell, with MinIO's client ``mc`` and an alias of its administrator."""
    return (
        "# ServerInfo: version and settings; ListAllMyBuckets: the login; the rest: the lab's own\n"
        "# buckets, made with a tag as their marker, filled, emptied and dropped.\n"
        f"cat > policy.json <<'END'\n{json.dumps(policy(namespace), indent=2)}\nEND\n"
        f"mc admin user add ALIAS {user} '<password>'\n"
        f"mc admin policy create ALIAS {POLICY} policy.json\n"
        f"mc admin policy attach ALIAS {POLICY} --user {user}\n"
    )
