"""``cnnspec verify``."""

from __future__ import annotations

import sys

import click

from cnnspec.cli.output import as_json, wants_colour
from cnnspec.cli.selection import as_json_option, select, takes_spec


@click.command("verify", short_help="Compare the frameworks' results.")
@takes_spec
@click.option("--targets", metavar="A,B,...", help="What to compare, the reference first: torch,keras-jax.")
@click.option("--seed", metavar="N", type=int, default=0, help="The seed of weights and inputs; by default 0.")
@as_json_option
def command(
    spec: str,
    model: str | None,
    settings: tuple[str, ...],
    inputs: tuple[str, ...],
    targets: str | None,
    seed: int,
    as_data: bool,
) -> None:
    """Run a network on every installed target with the same weights and inputs, and compare the results."""
    from cnnspec.verify import Unverifiable, verify

    selection = select(spec, model, settings, inputs)
    names = [name.strip() for name in targets.split(",")] if targets is not None else None
    graph, probes = selection.load_with_probes()

    def progress(text: str) -> None:
        click.echo(text, err=True)

    try:
        report = verify(graph, probes, targets=names, seed=seed, progress=progress if sys.stderr.isatty() else None)
    except Unverifiable as error:
        raise click.UsageError(str(error)) from None
    colour = wants_colour(sys.stdout)
    click.echo(as_json(report.as_json()) if as_data else report.as_text(colour=colour), color=colour)
    if not report.ok:
        click.get_current_context().exit(1)
