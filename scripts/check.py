"""Run lint, types, import rules and all tests, and end with one line that counts them.

Every step runs even if an earlier one failed. The checks count as one test
each; that of types takes a while and runs beside the tests, which several
workers share. Arguments are passed on to pytest; the environment too, so
``REQUIRE=postgresql,duckdb`` turns a system that could not be brought up from
a skipped test into a failed one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BIN: Final = Path(sys.executable).parent
CHECKS: Final = (
    ("lint", ("ruff", "check")),
    ("format", ("ruff", "format", "--check")),
    ("import rules", ("lint-imports",)),
)
BESIDE: Final = (("types", ("mypy",)),)
# One more than there are cores: much of the time a test waits for a server.
WORKERS: Final = min((os.cpu_count() or 1) + 1, 6)
CHECK_DEADLINE_S: Final = 900.0
TESTS_DEADLINE_S: Final = 4500.0
GRACE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of tests; a test that ended in an error has failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Add number by number."""
        return Counts(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        """Write the closing line."""
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_junit(path: Path) -> Counts:
    """Count the tests in a JUnit file written by pytest.

    A test whose teardown failed after it had passed or been skipped is listed
    twice; it counts once, as failed.

    Raises
    ------
    OSError, xml.etree.ElementTree.ParseError
        If the file is missing or was not written to its end.
    """
    states: dict[tuple[str, str], str] = {}
    order = ("passed", "skipped", "failed")
    for case in ET.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own pytest wrote it
        tags = {child.tag for child in case}
        if tags & {"failure", "error"}:
            state = "failed"
        else:
            state = "skipped" if "skipped" in tags else "passed"
        test = (case.get("classname", ""), case.get("name", ""))
        states[test] = max(state, states.get(test, "passed"), key=order.index)
    found = list(states.values())
    return Counts(found.count("passed"), found.count("failed"), found.count("skipped"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, to be counted and to be shown."""

    counts: Counts
    text: str


def run_check(name: str, command: tuple[str, ...]) -> Verdict:
    """Run one check; what it says belongs to its verdict only if it fails."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            (str(BIN / command[0]), *command[1:]),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CHECK_DEADLINE_S,
        )
        failed, output = done.returncode != 0, done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        failed, output = True, f"{error}\n"
    word = "FAILED" if failed else "ok"
    text = f"==> {name} ({' '.join(command)}): {word}, {time.monotonic() - began:.1f} s"
    if failed:
        return Verdict(Counts(failed=1), f"{text}\n{output.rstrip()}")
    return Verdict(Counts(passed=1), text)


def run_tests(arguments: list[str]) -> Counts:
    """Run pytest with its output passed through, and count from the file it writes."""
    with tempfile.TemporaryDirectory(prefix="deduplab-junit-") as directory:
        junit = Path(directory) / "junit.xml"
        workers = f"--numprocesses={WORKERS}"
        command = [sys.executable, "-m", "pytest", f"--junit-xml={junit}", workers, *arguments]
        say(f"==> tests (pytest, {WORKERS} workers)")
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as process:
            status = wait_for(process)
        try:
            counts = count_junit(junit)
        except (OSError, ET.ParseError) as error:
            say(f"pytest left no result (exit code {status}): {error}")
            return Counts(failed=1)
    if status != 0 and counts.failed == 0:
        say(f"pytest ended with exit code {status} though no test failed: counted as a failure")
        return counts + Counts(failed=1)
    return counts


def wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait for pytest to end; interrupt it at the deadline, so that its servers are stopped."""
    try:
        return process.wait(TESTS_DEADLINE_S)
    except subprocess.TimeoutExpired:
        say(f"pytest is interrupted: not done after {TESTS_DEADLINE_S:.0f} s")
    except KeyboardInterrupt:
        say("interrupted; pytest is stopping")
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() or 1


def say(text: str) -> None:
    """Write one line at once, so that it stands in order among what the steps write."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run everything; return 0 only if nothing failed and at least one test passed."""
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        # Hundreds of processes would compile all that they import. Beside the sources there is
        # still none of it.
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / ".cache" / "bytecode"))
    verdicts = [run_check(name, command) for name, command in CHECKS]
    for verdict in verdicts:
        say(verdict.text)
    with ThreadPoolExecutor(1) as beside:
        later = [beside.submit(run_check, name, command) for name, command in BESIDE]
        tests = run_tests(sys.argv[1:])
    for done in later:
        verdicts.append(done.result())
        say(done.result().text)
    checks = sum((verdict.counts for verdict in verdicts), Counts())
    total = checks + tests
    say(f"Checks: {checks}. Tests: {tests}. Each check counts as a test in the sum:")
    say(str(total))
    return 1 if total.failed or not tests.passed else 0


if __name__ == "__main__":
    sys.exit(main())
