"""What the lab's user may do on a CockroachDB cluster, and not more."""

from __future__ import annotations

_STATEMENTS = """\
-- Each namespace of the lab is a database that this user makes, and so owns; no other is touched.
CREATE USER "{user}" WITH LOGIN PASSWORD '<password>' CREATEDB;
-- Whether the cluster is at rest: running jobs, and statements of other clients (redacted).
GRANT SYSTEM VIEWJOB, VIEWACTIVITYREDACTED TO "{user}";
-- Whether acknowledged means synced: the cluster's settings; counters of the trace: its metrics.
GRANT SYSTEM VIEWCLUSTERSETTING, VIEWCLUSTERMETADATA TO "{user}";
-- For the reclaim mode gc-enqueue alone: asking the garbage collector to look at a range.
GRANT SYSTEM REPAIRCLUSTER TO "{user}";
-- Where COPY is refused to users that are not in the role admin (as the documentation of some
-- versions has it), bulk loads need this, which is far more than the rest:
-- GRANT admin TO "{user}";
"""


def grants(user: str) -> str:
    """Return the statements, for ``cockroach sql``; run by a member of the role admin.

    CockroachDB has no rights on databases by the beginning of their names: the user
    owns the databases that it makes, whatever they are called.
    """
    return _STATEMENTS.format(user=user)
