"""A private Valkey: Redis' recipe with Valkey's program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from deduplab.servers._redis_binaries import find_valkey
from deduplab.servers.redis import RedisServer


class ValkeyServer(RedisServer):
    """One private Valkey instance."""

    product = "valkey"
    title = "Valkey"
    find: ClassVar[Callable[[], Path]] = staticmethod(find_valkey)
    clients: ClassVar[tuple[str, ...]] = ("valkey-cli", "redis-cli")
