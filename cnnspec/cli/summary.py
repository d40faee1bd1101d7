"""``cnnspec summary``."""

from __future__ import annotations

import click

from cnnspec.cli.output import as_json
from cnnspec.cli.selection import as_json_option, select, takes_spec


@click.command("summary", short_help="Show a row for each layer.")
@takes_spec
@click.option("--depth", metavar="N", type=click.IntRange(min=1), help="Fold blocks below N levels into one row each.")
@as_json_option
def command(
    spec: str,
    model: str | None,
    settings: tuple[str, ...],
    inputs: tuple[str, ...],
    depth: int | None,
    as_data: bool,
) -> None:
    """Show a row for each layer: what it is, its output, parameters, MACs and receptive field.

    A receptive field of `all` means the whole input.  MACs are the multiply-accumulates of one forward pass of one
    sample in convolutions and dense layers.
    """
    from cnnspec.facts import report

    graph = select(spec, model, settings, inputs).load()
    click.echo(as_json(report.as_data(graph)) if as_data else report.as_text(graph, depth))
