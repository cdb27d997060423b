"""A signal that says to end is not lost where Python swallows what its handler raises."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deduplab.interrupts import raised_again

SOON_S = 30.0

SWALLOWED = """
import os, signal, time, weakref

class Thing:
    pass

def in_a_callback(number):
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), number))
    del thing
    return reference

class Ending:
    def __init__(self, number):
        self.number = number
    def __del__(self):
        os.kill(os.getpid(), self.number)

def in_a_finalizer(number):
    Ending(number)
"""
A_COMMAND = (
    SWALLOWED
    + """
import sys
from deduplab.cli import main

def command(standalone_mode):
    {where}(signal.{name})
    try:
        time.sleep(60)
    except Exception:
        pass
    return 0

main.cli = command
sys.argv = ["deduplab", "report"]
main.main()
"""
)
A_KEEPER = (
    SWALLOWED
    + """
import sys
from deduplab.lab import keeper

class Entry:
    name = "rest"
    def server_class(self):
        return self
    def __call__(self, workspace, **settings):
        return self
    def start(self):
        in_a_callback(signal.SIGTERM)
        time.sleep(60)
    def stop(self):
        print("stopped in order")

keeper.registry.system = lambda name: Entry()
sys.argv = ["keeper", sys.argv[1], "default", "fsync"]
sys.exit(keeper.main())
"""
)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("where", ["in_a_callback", "in_a_finalizer"])
def test_a_command_ends_with_the_code_of_interrupts(where: str, name: str) -> None:
    done = run(A_COMMAND.format(where=where, name=name))
    assert done.returncode == 130, done.stderr
    said = {"SIGINT": "interrupted", "SIGTERM": "terminated"}[name]
    assert done.stderr == f"deduplab: {said}\n"


def test_a_keeper_stops_its_server(tmp_path: Path) -> None:
    instance = tmp_path / "rest"
    instance.mkdir()
    done = run(A_KEEPER, str(instance), cwd=instance)
    assert (done.returncode, done.stdout) == (0, "stopped in order\n"), done.stderr


def run(text: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
        # A shell's background jobs ignore it, and so would the command, as it should then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


class _Told(BaseException):
    pass


class _Raises:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def swallow(error: BaseException) -> None:
    _Raises(error)


def test_one_that_is_swallowed_again_is_raised_once_more() -> None:
    class Stubborn:
        swallowed = 0

        def __del__(self) -> None:
            Stubborn.swallowed += 1
            time.sleep(SOON_S)

    def swallow_two() -> None:
        swallow(_Told())
        Stubborn()  # in which the second one arrives
        time.sleep(SOON_S)

    with pytest.raises(_Told), raised_again(_Told):
        swallow_two()
    assert Stubborn.swallowed == 1


def test_what_else_is_swallowed_is_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: reported.append(told.exc_value))
    hook, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)
    error = ValueError("of a finalizer")
    with raised_again(_Told):
        swallow(error)
    assert reported == [error]
    assert (sys.unraisablehook, signal.getsignal(signal.SIGALRM)) == (hook, alarm)


def test_nothing_comes_later_than_the_end() -> None:
    with raised_again(_Told):
        swallow(_Told())
    time.sleep(0.1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
