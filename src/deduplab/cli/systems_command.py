"""``deduplab systems``: the products that are measured, obtained, and brought up by hand."""

from __future__ import annotations

import re

import click
from rich.console import Console

from deduplab import registry
from deduplab.cli.lab_commands import down_command, shell_command, status_command, up_command
from deduplab.errors import DeduplabError, PlanError, SystemUnavailable
from deduplab.remote_table import REMOTE_USER

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@click.group(
    "systems",
    short_help="Obtain the products that are measured.",
    epilog="Examples:\n\n\b\n"
    "  deduplab systems install mariadb redis    obtain these two\n"
    "  deduplab systems up postgresql            a private server that stays\n"
    "  deduplab systems shell postgresql         its own client, logged in\n"
    "  deduplab systems status                   what is up\n"
    "  deduplab systems down --all               end it, and remove its data\n"
    "  deduplab systems grants mariadb           rights for a server of your own",
)
def command() -> None:
    """Obtain the products that are measured, and bring private servers up for use by hand."""


for _of_the_lab in (up_command, status_command, shell_command, down_command):
    command.add_command(_of_the_lab)


@command.command(
    "install",
    short_help="Obtain the software of systems.",
    epilog="Examples:\n\n\b\n"
    "  deduplab systems install mariadb redis    these two\n"
    "  deduplab systems install --all --dry-run  say what would be done",
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Install every system that needs it.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def install_command(names: tuple[str, ...], every: bool, dry_run: bool) -> None:
    """Install the software of systems NAME: packages of the system, wheels, pinned artefacts.

    What is there already is left as it is. Exit code 3 if one can't be had.
    """
    if every == bool(names):
        raise PlanError("name systems to install, or --all")
    entries = [registry.system(name) for name in dict.fromkeys(names)] or list(
        registry.systems().values()
    )
    wanted = [entry for entry in entries if entry.installer]
    console = Console()
    for entry in entries:
        if names and not entry.installer:
            extra = f"pip install 'deduplab[{entry.extra}]'"
            enough = f"{extra} is enough" if entry.extra else "it comes with deduplab"
            words = f"needs no installation of its own; {enough}"
            if entry.source:  # nothing that is obtained here
                words = f"{entry.source}; the driver: {extra}"
            _say(console, f"{entry.name}: {words}")
    for entry in wanted:
        _say(console, f"{entry.name}: {entry.source}")
    failed = [] if dry_run else [entry.name for entry in wanted if not _installed(entry, console)]
    if failed:
        raise SystemUnavailable(f"not installed: {', '.join(failed)}; the reasons stand above")


def _installed(entry: registry.SystemEntry, console: Console) -> bool:
    def progress(words: str) -> None:
        _say(console, f"{entry.name}: {words}")

    try:
        path = entry.install(progress)
    except DeduplabError as error:
        _say(console, f"{entry.name}: {error}", "red")
        return False
    _say(console, f"{entry.name}: ready, {path}", "green")
    return True


def _say(console: Console, words: str, style: str = "") -> None:
    console.print(words, style=style, markup=False, highlight=False, soft_wrap=True)


@command.command(
    "grants",
    short_help="Print the rights that a server of your own must give.",
    epilog="Examples:\n\n\b\n"
    "  deduplab systems grants postgresql\n"
    "  deduplab systems grants mariadb --user lab --namespace lab > grants.sql",
)
@click.argument("name", metavar="NAME")
@click.option("--user", default=REMOTE_USER, show_default=True, help="The user that is made.")
@click.option(
    "--namespace",
    metavar="PREFIX",
    default=REMOTE_USER,
    show_default=True,
    help="What the names of the lab's namespaces begin with; rights end there.",
)
def grants_command(name: str, user: str, namespace: str) -> None:
    """Print what an administrator of system NAME runs, so that a plan can measure his server.

    These are the least rights that are needed; <password> stands for the password. Nothing is
    run here. The namespaces of a run are called deduplab-lab and deduplab-lab-2.
    """
    entry = registry.system(name)
    if not _USER.fullmatch(user):
        raise PlanError(f"--user {user!r}: 1 to 63 letters, digits and _ . -, a letter or _ first")
    if not _PREFIX.fullmatch(namespace):
        raise PlanError(f"--namespace {namespace!r}: 1 to 63 of a-z, 0-9, _ and -, a letter first")
    text = entry.grants(user, namespace)
    if text:
        click.echo(text, nl=False)
    else:  # not on standard output, which is for an administrator's client
        words = "runs inside the process that uses it: nothing has to be granted"
        click.echo(f"{entry.name} {words}", err=True)
