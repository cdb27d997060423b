"""Looks behind the adapter's back at S3 object stores, with the vendor's client alone."""

from __future__ import annotations

import io

import urllib3
from minio import Minio
from minio.error import S3Error

from deduplab.server import Endpoint


def client_of(endpoint: Endpoint) -> Minio:
    assert endpoint.secret is not None
    return Minio(
        f"{endpoint.host}:{endpoint.port}",
        endpoint.user,
        endpoint.secret.reveal(),
        secure=False,  # the private servers, whose traffic stays on loopback
        region="us-east-1",
        http_client=urllib3.PoolManager(timeout=60.0, retries=False),
    )


class S3Look:
    def count(self, endpoint: Endpoint, namespace: str) -> int:
        return len(list(client_of(endpoint).list_objects(f"deduplab-{namespace}", recursive=True)))

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        try:
            answer = client_of(endpoint).get_object(f"deduplab-{namespace}", key)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            raise
        with answer:
            content: bytes = answer.read()
            return content

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        return client_of(endpoint).bucket_exists(f"deduplab-{namespace}")

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        client = client_of(endpoint)
        client.make_bucket(f"deduplab-{namespace}")
        client.put_object(f"deduplab-{namespace}", "foreign", io.BytesIO(b"not ours"), 8)

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        client_of(endpoint).delete_bucket_tags(f"deduplab-{namespace}")
