"""ClickHouse: in process for the lab's own instances, with rights for servers that run already."""

from __future__ import annotations

from typing import Final

from deduplab.servers.embedded import EmbeddedServer

_STATEMENTS: Final = """\
CREATE USER IF NOT EXISTS `{user}` IDENTIFIED WITH sha256_password BY '<password>';
-- The lab's own databases: made, filled, read, and dropped with everything in them.
GRANT CREATE DATABASE, DROP DATABASE, CREATE TABLE, DROP TABLE ON `{namespace}`*.* TO `{user}`;
GRANT SELECT, INSERT, TRUNCATE ON `{namespace}`*.* TO `{user}`;
-- DELETE FROM, removal of merged-away parts, and the reclaim modes.
GRANT ALTER DELETE, OPTIMIZE ON `{namespace}`*.* TO `{user}`;
-- A flush gives up merges that are half done.
GRANT SYSTEM MERGES ON `{namespace}`*.* TO `{user}`;
-- Rows come in by the table function input, for which most versions want this.
GRANT CREATE TEMPORARY TABLE ON *.* TO `{user}`;
-- Sizes, signals of rest, counters and settings; each shows what the user may see.
GRANT SELECT ON system.databases TO `{user}`;
GRANT SELECT ON system.tables TO `{user}`;
GRANT SELECT ON system.parts TO `{user}`;
GRANT SELECT ON system.merges TO `{user}`;
GRANT SELECT ON system.mutations TO `{user}`;
GRANT SELECT ON system.dropped_tables TO `{user}`;
GRANT SELECT ON system.events TO `{user}`;
GRANT SELECT ON system.settings TO `{user}`;
"""


class ClickhouseServer(EmbeddedServer):
    """Gives the engine in this process (chdb) a private, empty data directory."""

    @classmethod
    def grants(cls, user: str = "deduplab", namespace: str = "deduplab") -> str:
        """Return statements for ``clickhouse client``, for databases ``namespace..``.

        Rights on databases by the beginning of their names exist since ClickHouse
        24.10 (documentation, "GRANT", section "Wildcard grants").
        """
        return _STATEMENTS.format(user=user, namespace=namespace)
