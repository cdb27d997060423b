"""``deduplab systems up``, ``down``, ``status`` and ``shell``: servers for use by hand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from deduplab import registry
from deduplab.cli.lab_words import block, command, full_row, row, table
from deduplab.cli.live_line import live_line
from deduplab.cli.options import workspace_option
from deduplab.errors import PlanError, StoreError, SystemUnavailable
from deduplab.executors.workspace import prepared
from deduplab.lab.bring_up import bring_up, check_options, check_running, check_server
from deduplab.lab.instance import Instance, Record, Status
from deduplab.lab.place import Lab
from deduplab.lab.take_down import ORDER_DEADLINE_S, TakenDown, take_down
from deduplab.server import Client
from deduplab.units import format_bytes

_SIGNALS_OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


@click.command(
    "up",
    short_help="Bring up servers for use by hand.",
    epilog="Examples:\n\n\b\n"
    "  deduplab systems up postgresql                    one that stays until it is taken down\n"
    "  deduplab systems up redis valkey --durability interval\n"
    "  deduplab systems up mariadb --variant myrocks     see: deduplab list variants\n"
    "  deduplab systems up kafka --json                  for scripts",
)
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--variant", help="A variant of the system.  [default: its first]")
@click.option("--durability", help="fsync, interval or none.  [default: the system's first]")
@workspace_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, an object a system.")
def up_command(
    names: tuple[str, ...],
    variant: str | None,
    durability: str | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Bring up one private, empty instance of each system NAME, which stays.

    It listens on loopback alone, and a generated password lies in a file that you alone can
    read. What is printed says how to reach it, by hand and from a plan. There is one instance
    a system; one that is up stays as it is. Exit code 3 if one can't be brought up.
    """
    if not names:
        raise PlanError("name systems to bring up, as: deduplab systems up postgresql")
    entries = [registry.system(name) for name in dict.fromkeys(names)]
    lab = Lab(workspace)
    for entry in entries:
        check_server(entry)
        check_options(entry, variant, durability)
        check_running(lab.instance(entry.name), variant, durability)
    lab = Lab(prepared(workspace))
    console = Console(stderr=True)
    shown, failed = [], []
    for entry in entries:
        instance = lab.instance(entry.name)
        try:
            with live_line(console, entry.name) as progress:
                record, came_up = bring_up(lab, entry, variant, durability, progress)
        except SystemUnavailable as error:
            console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            failed.append(entry.name)
            continue
        if as_json:
            shown.append(full_row(instance))
        else:
            click.echo(block(instance, record, came_up, workspace))
    if as_json:
        click.echo(json.dumps([found for found in shown if found], indent=2))
    if failed:
        raise SystemUnavailable(f"not brought up: {', '.join(failed)}; the reasons stand above")


@click.command(
    "down",
    short_help="End servers that are up, and remove their data.",
    epilog="Examples:\n\n\b\n"
    "  deduplab systems down postgresql redis\n"
    "  deduplab systems down --all",
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Everything that 'status' shows.")
@workspace_option
def down_command(names: tuple[str, ...], every: bool, workspace: Path) -> None:
    """End the servers of systems NAME in order, by force after a deadline, and remove their data.

    What a keeper that was killed left is cleaned up as well. Nothing is touched that 'up' did
    not make.
    """
    if every == bool(names):
        raise PlanError("name systems to take down, or --all")
    lab = Lab(workspace)
    instances = [lab.instance(name) for name in dict.fromkeys(names)] or lab.instances()
    for instance in instances:
        if not instance.is_ours():
            registry.system(instance.system)  # a name that is misspelt is an error
    if not instances:
        click.echo("nothing is up")
    for instance in instances:
        with Console(stderr=True).status(f"{instance.system}: going down"):
            done = take_down(lab, instance)
        click.echo(f"{instance.system}: {_told(done)}")


def _told(done: TakenDown | None) -> str:
    if done is None:
        return "is not up"
    words = {
        Status.LOST: "its keeper had been killed, what it left is removed",
        Status.ENDED: "had ended by itself, what it left is removed",
    }.get(done.status, "server and keeper ended")
    if done.by_force:
        words += f" by force, after {ORDER_DEADLINE_S:g} s"
    if done.processes_ended:
        words += f"; processes ended: {done.processes_ended}"
    if done.removed_bytes is not None:
        words += f"; {format_bytes(done.removed_bytes)} of data removed"
    return words


@click.command(
    "status",
    short_help="Show the servers that are up.",
    epilog="Examples:\n\n\b\n  deduplab systems status\n  deduplab systems status --json",
)
@workspace_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, an object an instance.")
def status_command(workspace: Path, as_json: bool) -> None:
    """Show every instance that 'up' brought up: where it is, since when, and what it takes.

    'ended' is a server that ended though nobody stopped it, 'lost' one whose keeper was killed;
    the data of both is there until 'down' or the next 'up'.
    """
    look = full_row if as_json else row
    rows = [found for found in map(look, Lab(workspace).instances()) if found]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("nothing is up; bring something up by: deduplab systems up postgresql")
        return
    click.echo(table(rows))
    for found in rows:
        if found["reason"]:
            click.echo(f"{found['system']}: {found['reason']}")


@click.command(
    "shell",
    short_help="Log in to a server that is up.",
    epilog="Examples:\n\n\b\n"
    "  deduplab systems shell postgresql                       psql\n"
    "  deduplab systems shell postgresql -- -c 'SELECT 1'      arguments of psql\n"
    "  deduplab systems shell kafka -- kafka-topics --list     one of the broker's tools\n"
    "  deduplab systems shell minio -- aws s3 ls               any client of S3\n"
    "  deduplab systems shell rest                             a shell, with address and token\n"
    "  deduplab systems shell postgresql --env -- pg_dump      another client, logged in too",
)
@click.argument("name", metavar="NAME")
@click.argument("arguments", metavar="[-- ARGUMENT...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--env", "environment_alone", is_flag=True, help="A shell for every system.")
@workspace_option
def shell_command(
    name: str, arguments: tuple[str, ...], environment_alone: bool, workspace: Path
) -> None:
    """Start the client of system NAME, logged in to the instance that is up.

    That is psql, mariadb, redis-cli or valkey-cli, cockroach sql, or weed shell; what stands
    behind -- are its arguments. For kafka, nats, minio and rest it is a shell in whose environment
    their clients are logged in; what stands behind -- is a command that is run there. The exit
    code is the client's. With --env it is such a shell for every system, with what its client
    takes from the environment: PGHOST and the like for postgresql, AWS_... for seaweedfs.
    """
    entry = registry.system(name)
    check_server(entry)
    instance = Lab(workspace).instance(name)
    record = _record_of_up(instance, workspace)
    endpoint = instance.endpoint(record)
    try:
        instance.client_directory.mkdir(mode=0o700, exist_ok=True)
        client = entry.server_class().client(endpoint, instance.client_directory)
    except OSError as error:
        raise StoreError(f"what the client logs in by can't be written: {error}") from error
    if client.words and not arguments and sys.stdin.isatty():
        click.echo(client.words, err=True)
    _become(client, arguments, environment_alone)


def _record_of_up(instance: Instance, workspace: Path) -> Record:
    """Return the record of an instance that is up; refuse any other, with what to do."""
    status, record = instance.status(), instance.record()
    if status is Status.UP and record is not None:
        return record
    how = {
        None: "is not up",
        Status.ENDED: f"has ended by itself ({record.reason if record else ''})",
        Status.LOST: "was lost: its keeper was killed",
    }.get(status, f"is {status}, by another command")
    advice = command("up", instance.system, workspace)
    raise SystemUnavailable(f"{instance.system} {how}; bring it up by: {advice}")


def _become(client: Client, arguments: tuple[str, ...], environment_alone: bool) -> NoReturn:
    """Let the client take the place of this process, so that its exit code is ours."""
    logged_in = () if environment_alone else client.argv
    argv = [*logged_in, *arguments] or [os.environ.get("SHELL") or "/bin/sh"]
    program = shutil.which(argv[0], path=client.environment.get("PATH"))
    if program is None:
        raise SystemUnavailable(f"there is no program {argv[0]!r} on the search path; install it")
    sys.stdout.flush()
    sys.stderr.flush()
    for number in _SIGNALS_OF_PYTHON:  # Python ignores them, and a program would inherit that
        signal.signal(number, signal.SIG_DFL)
    os.execve(program, argv, dict(client.environment))  # noqa: S606 - the client that was asked for
