"""``deduplab calibrate``."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import click
from rich.console import Console

from deduplab import config
from deduplab.analysis import calibrate
from deduplab.cli import campaign
from deduplab.cli.findings import calibration_as_dict, calibration_table
from deduplab.cli.options import runs_option, workspace_option
from deduplab.cli.whole_tables import print_whole
from deduplab.errors import CalibrationError
from deduplab.executors.workspace import prepared


@click.command(
    "calibrate",
    short_help="Measure stores with known answers.",
    epilog="Examples:\n\n\b\n  deduplab calibrate\n  deduplab calibrate --scale 8 --json",
)
@runs_option
@workspace_option
@click.option(
    "--scale",
    metavar="FACTOR",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Make every dataset that many times larger.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every check as JSON.")
def command(runs: Path, workspace: Path, scale: int, as_json: bool) -> None:
    """Run the reference stores through the whole instrument and compare with what must come out.

    Exit code 6 if a check fails: then no other figure of this machine may be believed.
    """
    console = Console(stderr=as_json)
    text = files("deduplab.cli").joinpath("calibration.toml").read_text()
    plan = config.parse(text, origin="the built-in calibration plan", scale=scale)
    workspace = prepared(workspace)
    run = campaign.new_run(runs, plan, workspace)
    campaign.perform(run, plan, workspace, console)
    calibration = calibrate(run)
    if as_json:
        click.echo(json.dumps(calibration_as_dict(calibration), indent=2))
    else:
        print_whole(console, calibration_table(calibration))
    if not calibration.passed:
        raise CalibrationError(calibration.summary)
    console.print(calibration.summary, style="green", soft_wrap=True)
