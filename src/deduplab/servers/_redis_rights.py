"""What the lab's user may do on a Redis or Valkey server, and not more: one line, two uses."""

from __future__ import annotations

from typing import Final

WORDS: Final = """\
The user may do what a run needs, and look around: the names of its keys begin with deduplab:, as in
  SET deduplab:mine 1
"""
"""What a person is told before the product's client begins."""

ROOT: Final = "deduplab:"
"""The names of the lab's keys begin with it."""

_COMMANDS: Final = (
    "+select +ping +info +time +scan +config|get +get +setnx +msetnx "
    "+multi +exec +hget +hsetnx +hgetall +hset +exists +eval +del +unlink +blpop "
    "+bgsave +bgrewriteaof +memory|purge"
)
_BY_HAND: Final = (
    "+set +type +strlen +ttl +dbsize +memory|usage +object|encoding +command|docs +acl|whoami"
)
WAITAOF: Final = "+waitaof"
"""Since Redis 7.2; older ones refuse a rule with it."""

WAIT: Final = "+wait"
"""Where there are replicas of ours: an acknowledgement waits for theirs."""

REPLICATOR: Final = "resetkeys resetchannels -@all +psync +replconf +ping"
"""What a replica may do on the member that it follows."""


def rules(namespace: str = "") -> str:
    """Return the rules of ``ACL SETUSER``: these commands, on keys ``deduplab:namespace..``."""
    return f"resetkeys ~{ROOT}{namespace}* resetchannels -@all {_COMMANDS}"


def private_rules() -> str:
    """Return the rules of a private instance's user: a run's, and what a person asks beside."""
    return f"{rules()} {_BY_HAND}"


def grants(user: str, namespace: str) -> str:
    """Return commands for ``redis-cli``; lines that begin with # are comments, not to be sent."""
    return (
        "# The lab's own keys; reading sizes and settings, saving and rewriting files, and\n"
        "# waiting for that. Nothing that changes settings, nothing that empties the server.\n"
        f"ACL SETUSER {user} on ><password> {rules(namespace)}\n"
        "# Since 7.2: wait until the AOF is synced.\n"
        f"ACL SETUSER {user} {WAITAOF}\n"
        "# Keep the user where the server has a file of users; otherwise CONFIG REWRITE.\n"
        "ACL SAVE\n"
    )
