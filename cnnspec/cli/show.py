"""``cnnspec show``."""

from __future__ import annotations

import click

from cnnspec.cli.selection import Spec


@click.command("show", short_help="Print the spec of a shipped network.")
@click.argument("spec", metavar="NAME", type=Spec())
def command(spec: str) -> None:
    """Print the spec of a shipped network: the file with all networks of its family."""
    from cnnspec import loading

    click.echo(loading.find(spec).text, nl=False)
