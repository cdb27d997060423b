"""The check at the end of the suite: what a test leaves behind fails the suite, by its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import conftest
from tests.faults.processes import marked

LEAVING = {
    "nothing": "pass",
    "a directory": "tempfile.mkdtemp(prefix='forgotten-')",
    "a process": "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])",
    # Servers and their keepers get few variables; that of this test is how it ends it.
    "a server": "subprocess.Popen(['sleep', '61'], env={name: os.environ[name] "
    "for name in ('PATH', 'TMPDIR', 'DEDUPLAB_SUITE_TEST')})",
}
A_TEST = """
import os, subprocess, sys, tempfile, warnings

def test_it():
    warnings.simplefilter("ignore")
    {statement}
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["no worker", "a worker"])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        *(("nothing", None), ("a directory", "forgotten-")),
        *(("a process", "time.sleep(60)"), ("a server", "sleep 61")),
    ],
)
def test_what_is_left_fails_the_suite_by_name(
    what: str, said: str | None, workers: tuple[str, ...], tmp_path: Path
) -> None:
    text = Path(conftest.__file__).read_text()
    quick = text.replace("GONE_DEADLINE_S: Final = 15.0", "GONE_DEADLINE_S: Final = 0.5")
    assert quick != text
    (tmp_path / "conftest.py").write_text(quick)
    (tmp_path / "test_it.py").write_text(A_TEST.format(statement=LEAVING[what]))
    given = {k: v for k, v in os.environ.items() if k not in (conftest.MARK, "TMPDIR", "CI")}
    given["PYTHONPATH"] = str(Path(conftest.__file__).parents[1])
    here = f"{tmp_path}"
    quiet = ("-q", "-p", "no:cacheprovider")
    try:
        with (tmp_path / "output").open("w") as output_file:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *quiet, *workers, str(tmp_path)],
                env={**given, "DEDUPLAB_SUITE_TEST": here},
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
    finally:
        left = marked("DEDUPLAB_SUITE_TEST", here)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)
    output = (tmp_path / "output").read_text()
    assert "1 passed" in output
    assert ("left behind by the suite" in output) == (said is not None)
    assert done.returncode == (0 if said is None else 1), output
    assert said is None or said in output
