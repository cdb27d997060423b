"""``deduplab compare``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from deduplab.analysis.comparison import METRICS, Comparison, as_dict, compared, metric_named
from deduplab.analysis.threshold import Threshold, judged, parse_threshold
from deduplab.cli.compared_runs import chosen_within, sides_of
from deduplab.cli.comparison_tables import show
from deduplab.cli.options import runs_option, split_only
from deduplab.errors import NothingJudged, ThresholdBroken


@click.command(
    "compare",
    short_help="Set two runs side by side, with what can be told from their repetitions.",
    epilog="Examples:\n\n\b\n"
    "  deduplab compare before after                what differs, with 95 % intervals\n"
    "  deduplab compare before after --metric eta --metric p99 --all\n"
    "  deduplab compare before after --only sqlite --html compare.html\n"
    "  deduplab compare before after --fail-on p99+20% --fail-on eta-0.05   for a pipeline\n"
    "  deduplab compare before monday tuesday       each of them with the first\n"
    "  deduplab compare latest --variants default,unique-content   two variants of one run",
)
@click.argument("names", metavar="RUN_A RUN_B...", nargs=-1, required=True)
@runs_option
@click.option(
    "--metric", "metrics", metavar="NAME", multiple=True,
    help="Compare this figure only (several times for several): eta, u, c, p50, p99, or any that "
    "docs/compare.md lists.",
)  # fmt: skip
@click.option(
    "--only", metavar="SYSTEM[/VARIANT],...", default="", help="Only these systems or variants."
)
@click.option("--variants", metavar="A,B", default="", help="Two variants within one run.")
@click.option("--volumes", metavar="A,B", default="", help="Two volumes within one run.")
@click.option("--all", "everything", is_flag=True, help="Show figures that do not differ, too.")
@click.option(
    "--fail-on", "thresholds", metavar="CHANGE", multiple=True,
    help="End with exit code 11 if a figure rose or fell by more than that, with all of its "
    "interval: 'p99+20%', 'objects_per_s-10%', 'eta-0.05'; with 12 if none could be judged.",
)  # fmt: skip
@click.option(
    "--html", "page", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with every figure, too.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print every figure as JSON instead.")
def command(
    names: tuple[str, ...],
    runs: Path,
    metrics: tuple[str, ...],
    only: str,
    variants: str,
    volumes: str,
    everything: bool,
    thresholds: tuple[str, ...],
    page: Path | None,
    as_json: bool,
) -> None:
    """Say whether RUN_B costs something else than RUN_A: bytes, time, what comes back.

    Cells are matched by what they declare. Figures are set beside each other and never averaged:
    ratios are B / A, differences B - A. A figure differs where the 95 % interval of its change
    excludes that nothing changed; with fewer than about four repetitions on either side nothing
    can be told. What else differs (environment, versions, configurations, settings) comes first.
    """
    limits = [parse_threshold(text) for text in thresholds]
    chosen = [metric_named(name) for name in metrics] or list(METRICS)
    chosen += [one.metric for one in limits if one.metric not in chosen]
    within = chosen_within(variants, volumes)
    pairs = sides_of(names, runs, split_only(only), within)
    found = [(labels, compared(first, second, chosen)) for labels, first, second in pairs]
    if as_json:
        click.echo(json.dumps([as_dict(one) for _, one in found], indent=2, allow_nan=False))
    else:
        for number, (labels, one) in enumerate(found):
            if number:
                click.echo()
            show(one, labels, everything=everything)
    if page is not None:
        from deduplab.report import comparison_page

        comparison_page.write(found, page)
        click.echo(f"\ncomparison: {page}", err=as_json)
    _judge(limits, [one for _, one in found], as_json=as_json)


def _judge(limits: Sequence[Threshold], found: Sequence[Comparison], *, as_json: bool) -> None:
    """Hold the figures against the limits; say what became of each.

    Raises
    ------
    ThresholdBroken
        If one lies beyond its limit.
    NothingJudged
        If nothing can be told of any figure that a limit is for.
    """
    changes = [one for comparison in found for one in comparison.changes]
    judgements = [judged(limit, changes) for limit in limits]
    if judgements:
        click.echo(err=as_json)
    for one in judgements:
        click.echo(one.words, err=as_json)
    broken = [one.threshold.text for one in judgements if one.broken]
    if broken:
        raise ThresholdBroken(f"beyond what --fail-on allows: {', '.join(broken)}")
    unjudged = [one.threshold.text for one in judgements if not one.judged]
    if unjudged:
        raise NothingJudged(
            f"--fail-on {', '.join(unjudged)} could not be judged, so it says nothing; see above "
            "for why (--all shows each figure that there is)"
        )
