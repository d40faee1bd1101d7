"""``cnnspec graph``."""

from __future__ import annotations

import click

from cnnspec.cli.output import as_json
from cnnspec.cli.selection import Spec, chooses_model, coloured, select


@click.command("graph", short_help="Write the expanded graph as JSON.")
@click.argument("spec", required=False, type=Spec())
@chooses_model
@click.option("--schema", is_flag=True, help="Write the JSON Schema of a graph instead.")
@coloured
def command(
    spec: str | None, model: str | None, settings: tuple[str, ...], inputs: tuple[str, ...], schema: bool
) -> None:
    """Write the expanded graph of a network as JSON: every layer with its arguments, values with their shapes."""
    if schema:
        from cnnspec.graph import json_schema

        click.echo(as_json(json_schema()))
        return
    if spec is None:
        raise click.UsageError("a SPEC is missing")
    click.echo(select(spec, model, settings, inputs).load().model_dump_json(indent=2))
