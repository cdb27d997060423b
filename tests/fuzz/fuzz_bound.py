"""Fuzz the chunkers, both ways of scanning, and the files of sketches for some time.

With atheris installed, coverage leads the way; otherwise hypothesis makes the
bytes, with a new seed for each of its runs. Both call the same targets. The
first failure ends the run with its traceback and the bytes that show it.

    python -m tests.fuzz.fuzz_bound chunkers|scans|sketches [--seconds 600]
        [--with atheris|hypothesis]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Target = Callable[[bytes], None]
RUNS = 300
LONGEST_BYTES = 600


def target_named(name: str) -> Target:
    # Imported late, so that atheris can watch what is imported.
    targets: dict[str, Target] = importlib.import_module("tests.fuzz.bound_targets").TARGETS
    return targets[name]


def with_hypothesis(name: str, seconds: float) -> None:
    target = target_named(name)
    deadline, run, calls = time.monotonic() + seconds, 0, 0

    def check(data: bytes) -> None:
        nonlocal calls
        calls += 1
        if time.monotonic() < deadline:
            target(data)

    while time.monotonic() < deadline:
        run += 1
        asked = settings(
            max_examples=RUNS,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        seed(time.time_ns())(asked(given(st.binary(max_size=LONGEST_BYTES))(check)))()
    sys.stdout.write(f"nothing found: {calls} calls in {run} runs of hypothesis\n")


def with_atheris(name: str, seconds: float) -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["deduplab.bound"]):
        target = target_named(name)
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds:.0f}", f"-max_len={LONGEST_BYTES}"], target
    )
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=("chunkers", "scans", "sketches"))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--with", dest="engine", choices=("atheris", "hypothesis"))
    arguments = parser.parse_args()
    has_atheris = importlib.util.find_spec("atheris") is not None
    engine = arguments.engine or ("atheris" if has_atheris else "hypothesis")
    (with_atheris if engine == "atheris" else with_hypothesis)(arguments.target, arguments.seconds)


if __name__ == "__main__":
    main()
