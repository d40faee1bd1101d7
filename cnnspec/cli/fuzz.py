"""``cnnspec fuzz``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cnnspec.cli.selection import separated


@click.command(
    "fuzz", short_help="Compare the frameworks on random networks.", context_settings={"allow_extra_args": True}
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="How many networks; by default 100.")
@click.option("--minutes", metavar="M", type=click.FloatRange(min=0, min_open=True), help="Stop after M minutes.")
@click.option("--seed", metavar="S", type=click.IntRange(min=0), default=0, help="The first seed; by default 0.")
@click.option("--targets", metavar="A,B,...", help="What to compare with the reference: torch,keras-tensorflow.")
@click.option(
    "--save", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Save failures here as specs."
)
@click.option("--show", is_flag=True, help="Write the network of the seed, and compare nothing.")
def command(
    count: int | None, minutes: float | None, seed: int, targets: str | None, save: Path | None, show: bool
) -> None:
    """Draw random networks and compare each target with the reference.

    Outputs, running statistics and gradients are compared, in evaluation and in training, in float64.  A seed names a
    network: `--seed 17 --count 1` repeats one.  Failures are made smaller before they are saved.
    """
    given = separated(targets)
    from cnnspec.fuzz.generate import random_spec

    if show:
        click.echo(random_spec(seed), nl=False)
        return
    from cnnspec.backend import backends
    from cnnspec.fuzz.campaign import REFERENCE, run

    able = [
        target
        for one in backends().values()
        for target in one.targets
        if one.missing(target) is None and target != REFERENCE
    ]
    usual = [one.targets[0] for one in backends().values() if one.targets[0] in able]
    names = [name for name in given or usual if name != REFERENCE]
    for name in names:
        if name not in able:
            raise click.UsageError(f"cannot run `{name}`; there is {', '.join(able) or 'no target'}")
    if not names:
        raise click.UsageError("there is nothing to compare with the reference")

    def progress(text: str) -> None:
        click.echo(text, err=True)

    wanted = count if count is not None or minutes is not None else 100
    campaign = run(names, first_seed=seed, specs=wanted, minutes=minutes, save=save, progress=progress)
    sys.stderr.flush()
    click.echo(campaign.as_text())
    if not campaign.ok:
        click.get_current_context().exit(1)
