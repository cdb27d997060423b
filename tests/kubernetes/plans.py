"""Plans that tests have a cluster run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SMALL: Final = """\
name = "small_one"
repetitions = 1
stages = ["bulk", "read"]

[data]
payloads = ["random_binary"]
grades = ["U0"]
distances = ["adjacent"]
logical_size = "256 KiB"
object_size = "8 KiB"

[systems.plain]
"""
REMOTE: Final = """
[systems.postgresql.remote]
host = "db.lab.svc"
port = 5432
secret = "env:LAB_PASSWORD"
ssl_ca = "/run/lab/ca.crt"

[systems.redis.remote]
host = "cache.lab.svc"
port = 6379
secret = "file:/run/lab/cache-password"
"""


def written(folder: Path, text: str = SMALL) -> Path:
    """Write a plan; return its path."""
    path = folder / "plan.toml"
    path.write_text(text)
    return path
