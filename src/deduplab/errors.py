"""The errors of deduplab, one exit code for each kind.

::

    DeduplabError                 1   anything below; never raised itself
      PlanError                   2   a plan, a name or an argument is wrong; nothing was started
      SystemUnavailable           3   a system can't be reached; the cell may be retried
        SystemRefused             3   it can't be used as things are; the cell is not retried
          LoginRefused            3   user or secret is not taken
          VersionRefused          3   a version that was never looked at
      DiskSpaceError              4   the disk is too small for the plan, or ran full
      StoreError                  5   results can't be read or written
        StoreFull                 4   the disk that keeps results ran full
      CalibrationError            6   a reference store did not come out as it must
      OperationFailed             7   a system refused or failed an operation
      Unsupported                 7   a system has no such operation
      NamespaceRefused            8   a namespace exists without our marker, or bears a foreign one
      DatasetError                9   data does not match its manifest, or a source is not usable
      ProbeError                 10   a layer could not be read; becomes Missing(reason)
      ThresholdBroken            11   a figure of another run lies beyond a threshold
      NothingJudged              12   no figure could be held against a threshold
      Interrupted               130   Ctrl-C or SIGTERM

A command that is written to a closed pipe ends with 141, as a shell reports SIGPIPE.

A message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class DeduplabError(Exception):
    """Base of all errors that deduplab raises on purpose."""

    exit_code: ClassVar[int] = 1


class PlanError(DeduplabError):
    """A plan file, a name or an argument is wrong; nothing was started."""

    exit_code = 2


class SystemUnavailable(DeduplabError):
    """A system can't be brought up or reached. The only kind that a cell is retried for."""

    exit_code = 3


class SystemRefused(SystemUnavailable):
    """A system can't be used as things are, and trying again would not change that."""


class LoginRefused(SystemRefused):
    """A system does not take our user or its secret."""


class VersionRefused(SystemRefused):
    """A system is of a version that its adapter does not know."""


class DiskSpaceError(DeduplabError):
    """A disk has less free space than the plan needs, or ran full under a system."""

    exit_code = 4


class StoreError(DeduplabError):
    """The result store can't be read or written, or has another format version."""

    exit_code = 5


class RunExists(StoreError):
    """There is a run of that name already: somebody else was quicker."""


class StoreFull(StoreError):
    """The disk that keeps results ran full: what was committed stays."""

    exit_code = 4


class CalibrationError(DeduplabError):
    """A reference store did not come out as it must."""

    exit_code = 6


class OperationFailed(DeduplabError):
    """A system failed or refused an operation; what it was asked to store does not count."""

    exit_code = 7


class Unsupported(DeduplabError):
    """A system has no such operation, mode or layout."""

    exit_code = 7


class NamespaceRefused(DeduplabError):
    """A namespace exists without our marker; it is neither used nor dropped."""

    exit_code = 8


class DatasetError(DeduplabError):
    """Data does not match its manifest, or a source of data can't be used."""

    exit_code = 9


class ProbeError(DeduplabError):
    """A layer could not be read; the caller records it as missing, with this reason."""

    exit_code = 10


class ThresholdBroken(DeduplabError):
    """A comparison shows a change beyond a threshold that was asked for."""

    exit_code = 11


class NothingJudged(DeduplabError):
    """A threshold was asked for, and nothing can be told of any figure that it is for."""

    exit_code = 12


class Interrupted(DeduplabError):
    """The run was interrupted; the cell in hand was given up, all committed cells stay."""

    exit_code = 130


def unknown_name(what: str, name: str, known: tuple[str, ...]) -> str:
    """Word the refusal of an unknown name: what was meant, or else what there is."""
    import difflib  # only an error needs it

    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
    return f"unknown {what} {name!r}; {hint}"


def unwritten(what: str, error: OSError, more: str = "") -> StoreError:
    """Word why results can't be written, with what to do where the disk is full."""
    if error.errno in _FULL:
        return StoreFull(f"{what}: {error}; free some space on that disk{more}")
    return StoreError(f"{what}: {error}{more}")
