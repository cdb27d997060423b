"""Suspending an experiment, and bringing it back.

What measures (Jobs, CronJobs) is suspended before the systems that it may use, and
its pods are waited for, so that nothing is recorded as the failure of a system that
was taken away. It is restored after they are ready.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from deduplab.ops.kubernetes.change import Change, Decide, carry_out
from deduplab.ops.kubernetes.cluster import Cluster
from deduplab.ops.kubernetes.decision import LEAVE, to_restore, to_suspend
from deduplab.ops.kubernetes.experiment import Experiment, Member
from deduplab.ops.kubernetes.waiting import Progress, wait_until_gone, wait_until_ready

Told = Callable[[Change], None]


def suspend(
    cluster: Cluster, experiment: Experiment, deadline_s: float | None, told: Told, doing: Progress
) -> None:
    """Suspend every workload of an experiment and wait until its pods are gone.

    Parameters
    ----------
    deadline_s
        For all of it; None waits for nothing.
    told
        Is told of each workload once it is done.
    doing
        Is told in words what is waited for.

    Raises
    ------
    OperationFailed
        If pods are still there at the end, or others changed a workload again and again.
    """
    end = time.monotonic() + (deadline_s or 0)
    for measuring in (True, False):
        changes = _change(cluster, experiment, _which(experiment, measuring), to_suspend, told)
        if deadline_s is not None:
            wait_until_gone(cluster, _suspended(changes), end, doing)


def restore(
    cluster: Cluster, experiment: Experiment, deadline_s: float | None, told: Told, doing: Progress
) -> None:
    """Bring every suspended workload back to what it remembers; see :func:`suspend`.

    Raises
    ------
    OperationFailed
        If systems are not ready at the end: what measures stays suspended then, and the
        same command goes on.
    """
    end = time.monotonic() + (deadline_s or 0)
    for measuring in (False, True):
        changes = _change(cluster, experiment, _which(experiment, measuring), to_restore, told)
        if deadline_s is not None and not measuring:
            done = [change.now for change in changes if change.now is not None]
            wait_until_ready(cluster, done, end, doing)


def _which(experiment: Experiment, measuring: bool) -> list[Member]:
    return [one for one in experiment.members if one.workload.measures is measuring]


def _change(
    cluster: Cluster, experiment: Experiment, members: Iterable[Member], decide: Decide, told: Told
) -> list[Change]:
    changes = []
    for member in members:
        change = carry_out(cluster, experiment.name, member, decide)
        told(change)
        changes.append(change)
    return changes


def _suspended(changes: Iterable[Change]) -> list[Member]:
    """Return those that are suspended now, or were before: their pods may still be ending."""
    return [
        change.now
        for change in changes
        if change.now is not None
        and change.decision.action != LEAVE
        and not change.now.workload.is_finished(change.now.found)
    ]
