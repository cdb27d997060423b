"""``deduplab scan``: how redundant data is, at every grain."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deduplab.bound.account import Account, document
from deduplab.bound.results import plain
from deduplab.bound.sources.file_kinds import FORMATS
from deduplab.cli import scan_work
from deduplab.cli.scan_options import ScanOptions
from deduplab.errors import DatasetError

if TYPE_CHECKING:
    from rich.console import Console

_EXAMPLES: Final = """\
Examples:

\b
  deduplab scan /srv/backup                             files, each an object
  deduplab scan photos.tar -j 2 --html scan.html        an archive, and a page
  pg_dump lab | deduplab scan - --grain cdc             standard input
  deduplab scan 'postgresql://lab@db.example.org/lab?secret=env:PGPASSWORD' --table events
  deduplab scan events.csv --order natural --order sorted:type
  deduplab scan /srv/a --sample 1/64 --sketch a.sketch
  deduplab scan --merge a.sketch b.sketch
  deduplab scan --compare a.sketch /srv/b
  deduplab scan --on-disk /var/lib/postgresql/15 --planted dataset.toml

\b
How to read it: ratio is all bytes by unique ones, where a chunk counts once however often it is
there: the most that deduplication of that grain could save (2.00x: half). zstd-1, zstd-3 and lz4
have two numbers: on the unique chunks, and on all of them without deduplication.

\b
Exit codes: 0 everything was read; 2 an argument is wrong, nothing was read; 3 a server, driver
or cluster is not available; 4 the disk is full; 5 a sketch or page can't be read or written;
7 a process that reads ended early; 9 something could not be read (what, is said); 10 a directory
of --on-disk can't be listed; 130 interrupted; 141 what read the output went away.
"""


def _named(context: click.Context, option: click.Parameter, name: str | None) -> Path | None:
    """Return a path; an empty name, which would be the working directory, is refused."""
    if name == "":
        raise click.BadParameter("the name is empty")
    return None if name is None else Path(name)


@click.command("scan", epilog=_EXAMPLES)
@click.argument("sources", metavar="SOURCE...", nargs=-1)
@click.option("--table", metavar="NAME", help="Of a database: this table.  [default: all]")
@click.option("--query", metavar="SQL", help="Of a database: the answer to this query.")
@click.option("--columns", metavar="A,B", help="Columns to scan; '' for rows alone.")
@click.option(
    "--order",
    multiple=True,
    metavar="ORDER",
    help="Order of a table's rows: natural, shuffled or sorted:COLUMN. Several are compared, "
    "in pages of values.  [default: natural]",
)
@click.option(
    "--pages",
    metavar="BYTES",
    help="Cut columns into pages of values, such as '64 KiB', as a columnar engine does.",
)
@click.option("--format", "kind", metavar="KIND", help=f"Read a file as: {', '.join(FORMATS)}.")
@click.option(
    "--delimiter", metavar="CHAR", help="Of a CSV file; '\\t' is a tab.  [default: a comma]"
)
@click.option(
    "--grain",
    multiple=True,
    metavar="GRAIN",
    help="Grain such as whole, fixed-4096, cdc-8192; 'fixed' and 'cdc' are all of theirs. "
    "May be given several times.  [default: all ten]",
)
@click.option("--exact", is_flag=True, help="Count every chunk; the default.")
@click.option(
    "--sample",
    metavar="SHARE",
    help="Little memory: keep a share of the chunks, a power of two such as 1/64, and print the "
    "error of each figure.",
)
@click.option(
    "--compress/--no-compress",
    default=True,
    show_default=True,
    help="Find out what zstd and lz4 make of a sample of the chunks.",
)
@click.option(
    "-j",
    "processes",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that read; distances are then those within what one reads.",
)
@click.option("--dask", metavar="ADDRESS", help="Read on a Dask cluster instead.")
@click.option(
    "--sketch",
    metavar="FILE",
    type=click.Path(),
    callback=_named,
    help="Keep what was found, for --merge and --compare.",
)
@click.option("--merge", is_flag=True, help="The arguments are sketches; put them together.")
@click.option("--compare", metavar="A B", nargs=2, help="Say what two sketches, or sources, share.")
@click.option(
    "--on-disk",
    metavar="RUN|DIR",
    type=click.Path(),
    callback=_named,
    help="Scan a system's own files: what redundancy is left in them. Of a run with "
    "'on_disk = true' in its plan: what was found in each cell's.",
)
@click.option(
    "--planted",
    metavar="DIR|SPEC",
    help="With --on-disk: count the physical copies of this dataset's payloads.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, nothing else.")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(),
    callback=_named,
    help="Write a page that stands alone.",
)
@click.option(
    "--allow-left-out",
    is_flag=True,
    help="Exit with 0 although something could not be read.  [default: exit code 9]",
)
def command(**given: Any) -> None:
    """Say how redundant SOURCE is at every grain: unique bytes, copies, distances, compression.

    A source is a folder, a file, a tar or zip archive, a table (CSV, JSON lines, Parquet,
    SQLite, DuckDB), a block device, - for standard input, or a URL: postgresql://, mariadb://,
    clickhouse://, s3://, kafka://. It is read, and never written to.
    """
    options = ScanOptions(**given)
    options.check()
    if options.on_disk is not None and options.of_run:
        from deduplab.cli import scan_run

        scan_run.show_run(options.on_disk, as_json=options.as_json)
        return
    if options.compare is not None:
        _compare(options, options.compare)
        return
    account = scan_work.account_of(options)
    try:
        _keep(account, options)
    finally:  # a full disk must not cost the figures too
        _show(account, options)
    if options.html is not None and not options.as_json:
        click.echo(f"page: {options.html}")
    if account.unread and not options.allow_left_out:
        many = len(account.unread)
        raise DatasetError(
            f"{many:,} thing{'s' if many > 1 else ''} could not be read, so the figures are those "
            "of the rest; --allow-left-out accepts that"
        )


def _keep(account: Account, options: ScanOptions) -> None:
    if options.sketch is not None:
        account.sketch.save(options.sketch)
    if options.html is not None:
        from deduplab.report import scan_page

        scan_page.write(account, options.html)


def _show(account: Account, options: ScanOptions) -> None:
    if options.as_json:
        click.echo(json.dumps(document(account), indent=2))
    else:
        from deduplab.cli import scan_table

        scan_table.show(_console(), account)


def _compare(options: ScanOptions, names: tuple[str, str]) -> None:
    comparison = scan_work.comparison_of(options, names)
    if options.as_json:
        click.echo(json.dumps(plain(comparison), indent=2))
    else:
        from deduplab.cli import scan_table

        scan_table.show_comparison(_console(), comparison)


def _console() -> Console:
    from rich.console import Console

    # Where no terminal sets a width, the widest table has room.
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console()
    return Console(width=100)
