"""What is printed where the terminal's encoding does not have it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SAYS = """
import os, sys
from deduplab.cli import streams
streams.prepare()
print("1 \N{EN DASH} 2 \N{MULTIPLICATION SIGN} 3 \N{SNOWMAN} " + os.fsdecode(b"\\xff"))
"""


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", b"1 \xe2\x80\x93 2 \xc3\x97 3 \xe2\x98\x83 \xff\n"),
        ("latin-1", b"1 - 2 \xd7 3 \\u2603 \xff\n"),
        ("ascii", b"1 - 2 x 3 \\u2603 \xff\n"),
        ("ascii:surrogateescape", b"1 - 2 x 3 \\u2603 \xff\n"),
        ("ascii:replace", b"1 ? 2 ? 3 ? ?\n"),
    ],
)
def test_no_character_is_an_error(encoding: str, expected: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SAYS],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (expected, b"")
