"""``deduplab systems``: the products that are measured, obtained by one command."""

from __future__ import annotations

import click
from rich.console import Console

from deduplab import registry
from deduplab.errors import DeduplabError, PlanError, SystemUnavailable

_EXAMPLES = (
    "Examples:\n\n\b\n"
    "  deduplab systems install mariadb redis    these two\n"
    "  deduplab systems install --all --dry-run  say what would be done"
)


@click.group("systems", short_help="Obtain the products that are measured.", epilog=_EXAMPLES)
def command() -> None:
    """Obtain the software of the systems that don't come as a wheel of deduplab's extras."""


@command.command("install", epilog=_EXAMPLES)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Install every system that needs it.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def install_command(names: tuple[str, ...], every: bool, dry_run: bool) -> None:
    """Install the software of systems NAME: packages of the system, wheels, pinned artefacts.

    What is there already is left as it is. Exit code 3 if one can't be had.
    """
    if every == bool(names):
        raise PlanError("name systems to install, or --all")
    entries = [registry.system(name) for name in names] or list(registry.systems().values())
    wanted = [entry for entry in entries if entry.installer]
    console = Console()
    for entry in entries:
        if names and not entry.installer:
            extra = f"pip install 'deduplab[{entry.extra}]'" if entry.extra else "nothing"
            words = f"needs no installation of its own; {extra} is enough"
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
