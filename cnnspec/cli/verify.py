"""``cnnspec verify``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnnspec.cli.output import as_json, place_for, wants_colour, write_whole
from cnnspec.cli.selection import as_json_option, select, separated, takes_spec

if TYPE_CHECKING:
    from cnnspec.verify import Level

BAR = 12
"""How many cells the bar of a target has."""


@click.command("verify", short_help="Compare the frameworks' results.", context_settings={"allow_extra_args": True})
@takes_spec
@click.option("--targets", metavar="A,B,...", help="What to compare, the reference first: torch,keras-jax; or all.")
@click.option(
    "--level",
    type=click.Choice(["forward", "gradient", "train"]),
    default="gradient",
    show_default=True,
    help="How far to go: outputs; gradients too; weights after steps of training too.",
)
@click.option("--steps", metavar="K", type=int, default=5, show_default=True, help="Steps of training.")
@click.option("--seed", metavar="N", type=int, default=0, help="The seed of weights and inputs; by default 0.")
@click.option("--batch", metavar="N", type=int, default=3, show_default=True, help="Samples in a batch.")
@click.option("--timeout", metavar="SECONDS", type=float, default=600.0, show_default=True, help="For each target.")
@click.option("--exact-training", is_flag=True, help="Check the code that `compile --exact-training` writes.")
@click.option(
    "--certificate", metavar="FILE", type=click.Path(path_type=Path), help="Write all errors to FILE.md or FILE.html."
)
@as_json_option
def command(
    spec: str,
    model: str | None,
    settings: tuple[str, ...],
    inputs: tuple[str, ...],
    targets: str | None,
    level: Level,
    steps: int,
    seed: int,
    batch: int,
    timeout: float,
    exact_training: bool,
    certificate: Path | None,
    as_data: bool,
) -> None:
    """Run a network on every installed framework with the same weights and inputs, and compare the results."""
    names = separated(targets)
    from cnnspec.verify import Unverifiable, as_html, as_markdown, verify

    writers = {".md": as_markdown, ".html": as_html}
    if certificate is not None:
        if certificate.suffix not in writers:
            raise click.BadParameter("a certificate is a file that ends in .md or .html", param_hint="--certificate")
        place_for(certificate)  # before the work
    selection = select(spec, model, settings, inputs)
    graph, probes = selection.load_with_probes()
    try:
        report = verify(
            graph,
            probes,
            targets=names,
            level=level,
            steps=steps,
            seed=seed,
            batch=batch,
            timeout=timeout,
            exact_training=exact_training,
            meter=_draw if sys.stderr.isatty() else None,
        )
    except Unverifiable as error:
        raise click.UsageError(str(error)) from None
    finally:
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)
    colour = wants_colour(sys.stdout)
    click.echo(as_json(report.as_json()) if as_data else report.as_text(colour=colour), color=colour)
    if certificate is not None:
        write_whole(certificate, writers[certificate.suffix](report))
    if not report.ok:
        click.get_current_context().exit(1)


def _draw(shares: Mapping[str, float]) -> None:
    """A bar for each target, over the one before it."""
    bars = []
    for target, share in shares.items():
        full = round(BAR * share)
        bars.append(f"{target} {'#' * full}{'.' * (BAR - full)}")
    click.echo("\r\x1b[K" + "  ".join(bars), err=True, nl=False)
