"""How a run is identified where its numbers are cited: id, plan, version and environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from deduplab.run_header import RunHeader

_SHOWN: Final = (
    ("cpu", "{}"),
    ("cpus usable", "{} usable cores"),
    ("memory", "{} of memory"),
    ("operating system", "{}"),
    ("kernel", "kernel {}"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one run from all others; ``environment`` is the part that readers compare."""

    run_id: str
    plan: str
    plan_digest: str
    version: str
    begun: datetime
    environment: str

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        return (
            f"deduplab {self.version}, run {self.run_id} of plan {self.plan} (digest "
            f"{self.plan_digest}), begun {self.begun:%Y-%m-%d %H:%M} UTC on {self.environment}"
        )


def identity_of(header: RunHeader) -> Identity:
    """Return how a run is identified.

    ``version`` is that of the deduplab that measured.
    """
    known = header.environment
    scale = "" if header.scale == 1 else f" at scale {header.scale}"
    only = f", only {', '.join(header.only)}" if header.only else ""
    told = [words.format(known[name]) for name, words in _SHOWN if known.get(name)]
    # its options may name paths, and are in the report
    told += [str(known.get("workspace file system", "")).partition(" ")[0]]
    return Identity(
        run_id=header.run_id,
        plan=f"{header.plan_name}{scale}{only}",
        plan_digest=header.plan_digest,
        version=str(known.get("deduplab", "of a version that was not recorded")),
        begun=datetime.fromtimestamp(header.created_unix_ns / 1e9, UTC),
        environment=", ".join(filter(None, told)) or "an environment that was not recorded",
    )
