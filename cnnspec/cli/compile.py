"""``cnnspec compile``."""

from __future__ import annotations

from pathlib import Path

import click
from typing_extensions import override

from cnnspec.cli.output import write_whole
from cnnspec.cli.selection import select, takes_spec


class BackendName(click.types.StringParamType):
    """The name of a backend; where it is missing, those there are get told."""

    @override
    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        from cnnspec.backend import backends

        return f"There are {', '.join(name for name, one in backends().items() if one.emits)}."


@click.command("compile", short_help="Write the code for a framework.")
@takes_spec
@click.option(
    "--backend", "-b", metavar="NAME", type=BackendName(), required=True, help="The target, such as torch or keras."
)
@click.option(
    "--all", "every", is_flag=True, help="Write all models of the file into one module, which has their blocks once."
)
@click.option(
    "--exact-training",
    is_flag=True,
    help="Where the framework's own layers train otherwise than the spec says, write layers that do not.",
)
@click.option(
    "--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="Write here; whole or not at all."
)
def command(
    spec: str,
    model: str | None,
    settings: tuple[str, ...],
    inputs: tuple[str, ...],
    backend: str,
    every: bool,
    exact_training: bool,
    output: Path | None,
) -> None:
    """Write the code of a network for a framework, to standard output or to FILE."""
    from cnnspec.backend import emitter as find_emitter

    try:
        emitter = find_emitter(backend)
    except LookupError as error:
        raise click.UsageError(error.args[0]) from None
    if exact_training:
        emitter = emitter.exact_training()
    if every and (model or settings):
        option = "--model" if model else "--set"
        raise click.UsageError(f"`--all` writes all models as they are, so that `{option}` has no place beside it")
    selection = select(spec, model, settings, inputs)
    if every:
        try:
            source = emitter.emit_family(selection.load_all_with_probes())
        except LookupError as error:
            raise click.UsageError(error.args[0]) from None
    else:
        source = emitter.emit(*selection.load_with_probes())
    if output is None or str(output) == "-":
        click.echo(source, nl=not source.endswith("\n"))
    else:
        write_whole(output, source)
