"""What the lab's user may do on a MariaDB server, and not more."""

from __future__ import annotations

_STATEMENTS = """\
-- TLS is for the way over a network; a narrower host than % is better still.
CREATE USER '{user}'@'%' IDENTIFIED BY '<password>' REQUIRE SSL;
-- The lab's own databases; UPDATE is for ON DUPLICATE KEY, LOCK TABLES for FLUSH .. FOR EXPORT.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, LOCK TABLES ON `{namespace}%`.* TO '{user}'@'%';
-- RELOAD is for FLUSH TABLES .. FOR EXPORT, PROCESS for sizes and signals of InnoDB and MyRocks.
GRANT RELOAD, PROCESS ON *.* TO '{user}'@'%';
-- For the variant myrocks alone: SET GLOBAL rocksdb_force_flush_memtable_now.
GRANT SUPER ON *.* TO '{user}'@'%';
"""


def grants(user: str, namespace: str) -> str:
    """Return the statements, each on a line of its own, for databases ``namespace..``."""
    # In the name of a database in GRANT, _ and % stand for other letters.
    return _STATEMENTS.format(user=user, namespace=namespace.replace("_", r"\_"))
