"""What the lab's user may do on a PostgreSQL server, and not more."""

from __future__ import annotations

_STATEMENTS = """\
-- The lab makes schemas of its own, and touches no other; so give it a database of its own.
CREATE ROLE "{user}" LOGIN PASSWORD '<password>';
CREATE DATABASE "{user}";
-- Log in; make schemas; stage loads of the variant unique-content in a temporary table.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "{user}" TO "{user}";
-- Sizes that have settled: every flush is a checkpoint (since PostgreSQL 15).
GRANT pg_checkpoint TO "{user}";
-- Whether the server is at rest: what its checkpointer and its autovacuum are waiting for.
GRANT pg_read_all_stats TO "{user}";
-- What follows holds in one database, the lab's:
\\connect "{user}"
-- A flush begins a new WAL segment; the size of the WAL is one of the lab's readings.
GRANT EXECUTE ON FUNCTION pg_switch_wal() TO "{user}";
GRANT EXECUTE ON FUNCTION pg_ls_waldir() TO "{user}";
-- Whether the server is at rest: temporary files of others' sorts and index builds.
GRANT EXECUTE ON FUNCTION pg_ls_tmpdir() TO "{user}";
"""


def grants(user: str) -> str:
    """Return the statements, for ``psql``; the user's database bears the user's name.

    PostgreSQL has no rights on schemas by the beginning of their names: the user
    owns the schemas that it makes, whatever they are called, and may use no others.
    """
    return _STATEMENTS.format(user=user)
