"""MinIO and SeaweedFS are held to the contracts of adapters and servers."""

from __future__ import annotations

from typing import Final

import pytest

from deduplab.registry import SystemEntry
from deduplab.testing import AdapterContract, ServerContract, SystemUnderTest
from tests.contract.looks_s3 import S3Look
from tests.required import Counted

ENTRIES: Final = {
    name: SystemEntry(
        name,
        "server",
        f"deduplab.adapters.s3:{name.capitalize()}Adapter",
        f"deduplab.servers.{name}:{name.capitalize()}Server",
        summary,
        driver="minio",
        extra=name,
    )
    for name, summary in (
        ("minio", "MinIO, a private S3 server; a directory an object"),
        ("seaweedfs", "SeaweedFS, a private S3 server; objects appended to volumes"),
    )
}


class _Fixtures(Counted):
    @pytest.fixture(scope="class", params=[*ENTRIES])
    @staticmethod
    def sut(request: pytest.FixtureRequest) -> SystemUnderTest:
        return SystemUnderTest.of(ENTRIES[request.param], S3Look())


class TestS3Adapter(_Fixtures, AdapterContract):
    pass


class TestS3Server(_Fixtures, ServerContract):
    pass
