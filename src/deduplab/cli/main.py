"""The command ``deduplab``: commands imported when called, errors turned into exit codes."""

from __future__ import annotations

import errno
import signal
import sys
from types import FrameType
from typing import Final

import click

import deduplab
from deduplab.cli import streams
from deduplab.cli.lazy_group import LazyGroup
from deduplab.errors import DeduplabError, DiskSpaceError, Interrupted
from deduplab.interrupts import raised_again

CLOSED_PIPE_EXIT_CODE: Final = 141  # what a shell reports of a process that SIGPIPE ended

# command -> what is left of its work when it is ended by a signal
_LEFT: Final = {
    "run": "what was committed stays, and the same command goes on with it (without --fresh)",
    "export": "a half-written export does not count, and the same command goes on",
    "scan": "nothing was written, so scan again",
}

# command -> one line of help, so that ``deduplab --help`` imports nothing else
COMMANDS: Final = {
    "run": "Run a plan, or go on where it stopped, and write the report.",
    "plan": "Show the cells, bytes, disk and time of a plan; start nothing.",
    "report": "Write the report of a run, or print its figures as rows.",
    "compare": "Set two runs side by side, with what can be told from their repetitions.",
    "export": "Bring runs to a directory, archive, bucket or Git repository, and verify that.",
    "trace": "Show the traces of a run, or write one as CSV.",
    "list": "List systems, variants, payloads, plans or runs.",
    "data": "List, fetch, make and verify datasets.",
    "scan": "Say how redundant any data is, at every grain.",
    "systems": "Obtain the products that are measured; bring servers up for use by hand.",
    "ops": "Run plans elsewhere, operate what is there of them, and watch runs.",
    "doctor": "Check, system by system, what works on this machine.",
    "calibrate": "Measure the reference stores, whose answers are known.",
    "clean": "Remove what killed runs left behind, and old runs on demand.",
}


class _TerminatedError(BaseException):
    """We were told to end.

    No ``Exception``, so that nothing on the way takes it for a failure of its own.
    """


@click.group(
    cls=LazyGroup,
    modules="deduplab.cli.",
    words=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: deduplab run plans/quick.toml",
)
@click.version_option(deduplab.__version__, prog_name="deduplab")
def cli() -> None:
    """Measure where redundant bytes go in systems that hold data, and what a copy costs."""


def main() -> None:
    """Run the command line and exit with the code of the error's kind."""
    streams.prepare()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # From here on it can be said what an interrupt leaves.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with raised_again(_TerminatedError, KeyboardInterrupt):
            code = cli(standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"deduplab: {_ended('interrupted')}", err=True)
        code = Interrupted.exit_code
    except _TerminatedError:
        click.echo(f"deduplab: {_ended('terminated')}", err=True)
        code = Interrupted.exit_code
    except DeduplabError as error:
        click.echo(f"deduplab: {error}", err=True)
        code = error.exit_code
    except SystemExit:
        # So click and rich end, instead of raising, where output goes into a closed pipe;
        # nothing of ours does.
        code = CLOSED_PIPE_EXIT_CODE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        click.echo(f"deduplab: the disk is full: {error}", err=True)
        code = DiskSpaceError.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _terminated(signal_number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _TerminatedError


def _ended(how: str) -> str:
    """Say how a command was ended, and what that means for what it was doing."""
    left = _LEFT.get("".join(sys.argv[1:2]))
    return f"{how}; {left}" if left else how
