"""The process of one cell: it runs the cell, commits it, and says how that ended."""

from __future__ import annotations

import dataclasses
import signal
import traceback
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from deduplab import volumes
from deduplab.bench.clients import Clients
from deduplab.bench.lifecycle import run_cell
from deduplab.bench.manifests import ManifestCache
from deduplab.bench.tracer import Tracer
from deduplab.cell import Cell, CellResult
from deduplab.errors import (
    DeduplabError,
    DiskSpaceError,
    StoreError,
    StoreFull,
    SystemRefused,
    SystemUnavailable,
    Unsupported,
)
from deduplab.executors.workspace import instance_directory, require_room
from deduplab.feed import Feed
from deduplab.interrupts import raised_again
from deduplab.model import OutcomeKind
from deduplab.parent_death import die_with_parent
from deduplab.store import Run

Message = tuple[str, object, object]
"""What it says: a kind, and what belongs to it."""


class _StoppedError(BaseException):
    """The run asked the cell's process to take everything down.

    No ``Exception``, so that nothing on the way takes it for a failed operation.
    """


@dataclass(frozen=True, slots=True)
class Order:
    """What a cell's process is to do, and where."""

    cell: Cell
    attempt: int
    run_root: Path
    workspace: Path
    feed: Feed | None = None


def work(order: Order, connection: Connection) -> None:
    """Be the cell's process: run, commit, and say how it ended."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides; it sends SIGTERM
    signal.signal(signal.SIGTERM, _interrupted)
    with suppress(_StoppedError), raised_again(_StoppedError):
        _work_and_tell(order, connection)


def _work_and_tell(order: Order, connection: Connection) -> None:
    cell = order.cell

    def tell(kind: str, first: object, second: object = None) -> None:
        try:
            connection.send((kind, first, second))
        except BrokenPipeError as error:  # the run was killed: nobody is there to be told
            raise _StoppedError from error

    try:
        run = Run.open(order.run_root)
        if cell.volume != volumes.NONE:
            # Before any thread: then a volume can't outlive this process. What is refused here is
            # refused again, with the reason, where the volume is made.
            with suppress(Unsupported):
                volumes.private_mounts()
        with ExitStack() as stack:
            clients, tracer = _processes(order, stack)
            directory = stack.enter_context(instance_directory(order.workspace))
            result, latencies_ns = run_cell(
                cell,
                directory,
                ManifestCache(order.run_root / "manifests"),
                lambda position, stage: tell("stage", position, stage.value),
                tracer=tracer,
                clients=clients,
            )
        _require_final(result, order.workspace)
        trace = tracer.trace if tracer else None
        run.commit(dataclasses.replace(result, attempts=order.attempt), latencies_ns, trace)
        tell("committed", result.outcome)
    except SystemUnavailable as error:
        kind = "refused" if isinstance(error, SystemRefused) else "unavailable"
        tell(kind, str(error))
    except StoreError as error:
        tell("full" if isinstance(error, StoreFull) else "store", str(error))
    except DiskSpaceError as error:
        tell("full", str(error))
    except DeduplabError as error:
        tell("failed", f"{type(error).__name__}: {error}")
    except Exception as error:  # an engine's own error must cost one cell, not the campaign
        where = traceback.extract_tb(error.__traceback__)[-1]
        words = " ".join(str(error).split())
        place = f"{Path(where.filename).name}:{where.lineno}"
        tell("failed", f"{type(error).__name__} in {place}: {words}")


def _processes(order: Order, stack: ExitStack) -> tuple[Clients | None, Tracer | None]:
    """Fork what works beside the cell's process, before that has any thread."""
    cell = order.cell
    clients = stack.enter_context(closing(Clients(cell))) if cell.clients > 1 else None
    if not cell.trace_hz:
        return clients, None
    tracer = Tracer(cell.trace_hz, order.feed, cell.cell_id)
    return clients, stack.enter_context(closing(tracer))


def _require_final(result: CellResult, workspace: Path) -> None:
    """Refuse a result that says nothing of the system; it must not be committed.

    Raises
    ------
    _StoppedError
        If the run asked to stop while an engine had called Python, which made a failure of
        its own of that.
    DiskSpaceError
        If the cell did not go well, and the disk has no room for it now that what its
        instance took is free again.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        raise _StoppedError
    if result.outcome.kind in (OutcomeKind.FAILED, OutcomeKind.INVALID):
        require_room(workspace, result.cell)


def _interrupted(signal_number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StoppedError
