"""How instances of the lab are told: as a block of words, a table, and rows for programs."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from deduplab import registry
from deduplab.errors import PlanError
from deduplab.executors.workspace import default_workspace
from deduplab.lab.instance import Instance, Record, Status
from deduplab.remote_table import written
from deduplab.units import format_bytes
from deduplab.versions import number_in

_COLOURS: Final = {"up": "green", "ended": "red", "lost": "red"}
_PLAN_DURABILITY: Final = "fsync"  # what a plan has that names none
_FACTS: Final = (
    *("variant", "durability", "address", "host", "port", "user", "database", "version", "since"),
    *("allocated_bytes", "data_directory", "keeper"),
)
_LOST: Final = "its keeper was killed, and the server with it"


def command(verb: str, system: str, workspace: Path) -> str:
    """Return the command line that does something with an instance, as one types it."""
    elsewhere = workspace.absolute() != default_workspace().absolute()
    words = ["deduplab", "systems", verb, system]
    return shlex.join([*words, "--workspace", str(workspace)] if elsewhere else words)


def plan_table(instance: Instance, record: Record) -> str:
    """Return what a plan says to measure an instance as a server that runs already."""
    offers = registry.system(record.system).capabilities()
    lines = []
    if record.durability != _PLAN_DURABILITY:
        lines.append(f'# at the top of the plan: durability = "{record.durability}"\n')
    if record.variant != offers.variant_names()[0]:
        lines.append(f'[systems.{record.system}]\nvariants = ["{record.variant}"]\n\n')
    return "".join([*lines, written(record.system, instance.endpoint(record))])


def block(instance: Instance, record: Record, came_up: bool, workspace: Path) -> str:
    """Return what a person needs to use an instance that is up."""
    how = "is up" if came_up else "is up already"
    version = f" {record.version}" if record.version else ""
    user = f"{record.user}, database {record.database}" if record.database else str(record.user)
    facts = {
        "user": user,
        "secret": str(instance.secret_file),
        "data": record.directory,
        "variant": f"{record.variant}, durability {record.durability}",
        "shell": command("shell", record.system, workspace),
        "end it": command("down", record.system, workspace),
    }
    lines = [f"{record.system}{version} {how} at {record.address}"]
    lines += [f"  {name:8} {value}" for name, value in facts.items()]
    lines += ["  in a plan, to measure it as a server that runs already:", ""]
    lines += [f"    {line}".rstrip() for line in plan_table(instance, record).splitlines()]
    return "\n".join(lines) + "\n"


def row(instance: Instance) -> dict[str, Any] | None:
    """Return what is known of an instance; None if it is not there any more.

    The keys are always the same; what is not known, as in its first moment, is None.
    """
    status, record = instance.status(), instance.record()
    if status is None:
        return None
    return {
        "system": instance.system,
        "status": status.value,
        **(_facts(instance, record) if record else dict.fromkeys(_FACTS)),
        "secret_file": str(instance.secret_file),
        "reason": _reason(status, record),
    }


def _facts(instance: Instance, record: Record) -> dict[str, Any]:
    since = datetime.fromtimestamp(record.since_unix_ns // 10**9, UTC).isoformat()
    known = (
        *(record.variant, record.durability, record.address, record.host, record.port),
        *(record.user, record.database, record.version, since),
        *(instance.allocated_bytes(record), record.directory, record.keeper.pid),
    )
    return dict(zip(_FACTS, known, strict=True))


def full_row(instance: Instance) -> dict[str, Any] | None:
    """Return the same with what a plan says to measure it; None where it is not up."""
    found, record = row(instance), instance.record()
    if found is None or record is None or found["status"] != Status.UP:
        return found and {**found, "plan": None}
    try:
        return {**found, "plan": plan_table(instance, record)}
    except PlanError:  # a system of somebody else's that is not installed any more
        return {**found, "plan": None}


def _reason(status: Status, record: Record | None) -> str:
    if status is Status.LOST:
        return _LOST
    return record.reason if record else ""


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows for people: a line each, columns aligned, and none of them cut off."""
    headings = ("system", "status", "variant", "durability", "address", "version", "since", "disk")
    lines = [headings, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    ]
    for line, found in zip(padded[1:], rows, strict=True):
        line[1] = click.style(line[1], fg=_COLOURS.get(found["status"], "yellow"))
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _cells(found: dict[str, Any]) -> tuple[str, ...]:
    on_disk, version = found["allocated_bytes"], found["version"] or ""
    return (
        *(found[key] or "" for key in ("system", "status", "variant", "durability", "address")),
        number_in(version) or version,
        _local_time(found["since"]),
        "" if on_disk is None else format_bytes(on_disk),
    )


def _local_time(since: str | None) -> str:
    """Return the time of day, with the date before it where that was not today."""
    if since is None:
        return ""
    then = datetime.fromisoformat(since).astimezone()
    today = then.date() == datetime.now(then.tzinfo).date()
    return f"{then:%H:%M:%S}" if today else f"{then:%Y-%m-%d %H:%M}"
