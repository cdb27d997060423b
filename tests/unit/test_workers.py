"""What stays on one worker: a file, or a class with one system, or nothing but the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers import BY_SYSTEM, BY_TEST, unit

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", [*BY_SYSTEM, *BY_TEST])
def test_what_is_divided_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/unit/test_a.py::test_b[1-2]", "tests/unit/test_a.py"),
        ("tests/unit/test_a.py::TestA::test_b", "tests/unit/test_a.py"),
        (
            "tests/contract/test_s3.py::TestS3Server::test_it[minio-a::b[c]]",
            "tests/contract/test_s3.py::TestS3Server[minio]",
        ),
        ("tests/contract/test_tls.py::test_it[redis-x]", "tests/contract/test_tls.py::[redis]"),
        ("tests/contract/test_tls.py::test_it", "tests/contract/test_tls.py::[]"),
        ("tests/faults/test_a.py::test_b[1]", "tests/faults/test_a.py::test_b[1]"),
    ],
)
def test_what_stays_together(nodeid: str, expected: str) -> None:
    assert unit(nodeid) == expected
