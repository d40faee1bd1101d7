"""``cnnspec weights``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnspec.cli.selection import Selection, select, takes_spec

if TYPE_CHECKING:
    from cnnspec.graph import Graph

FILE = click.Path(path_type=Path)


@click.group("weights", short_help="Convert weights, or draw initial ones.")
def command() -> None:
    """Carry weights between frameworks, or draw those that training starts from.

    The suffix of a file says what it is: `.pt`, `.pth` or `.safetensors` for PyTorch, `.weights.h5` or `.keras` for
    Keras, and to read `.h5`.  A `.safetensors` file is written in the neutral form, by the spec's own names, unless
    --to says torch.
    """


@command.command("convert")
@takes_spec
@click.argument("source", metavar="IN", type=FILE)
@click.argument("target", metavar="OUT", type=FILE)
@click.option("--from", "source_format", metavar="FORMAT", help="What IN is: torch, keras or neutral.")
@click.option("--to", "target_format", metavar="FORMAT", help="What OUT is to be: torch, keras or neutral.")
def convert(
    spec: str,
    source: Path,
    target: Path,
    model: str | None,
    settings: tuple[str, ...],
    inputs: tuple[str, ...],
    source_format: str | None,
    target_format: str | None,
) -> None:
    """Write the weights in IN to OUT, whole or not at all.

    Every weight of the network must be in IN under its name and in its shape, and nothing else; what differs is listed.
    """
    from cnnspec.weights import read, write

    selection = select(spec, model, settings, inputs)
    graph, probes = selection.load_with_probes()
    with _explaining(f"cannot read `{source}`"):
        weights = read(source, graph, format=source_format, variant=lambda changes: _variant(selection, changes))
    with _explaining(f"cannot write `{target}`"):
        write(target, graph, weights, probes=probes, format=target_format)


@command.command("init")
@takes_spec
@click.argument("target", metavar="OUT", type=FILE)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, help="The seed; by default 0.")
@click.option("--to", "target_format", metavar="FORMAT", help="What OUT is to be: torch, keras or neutral.")
def init(
    spec: str,
    target: Path,
    model: str | None,
    settings: tuple[str, ...],
    inputs: tuple[str, ...],
    seed: int,
    target_format: str | None,
) -> None:
    """Draw the network's initial weights and write them to OUT.

    They depend on the spec and the seed alone: training can start from the same numbers in every framework.
    """
    from cnnspec.weights import initial, write

    graph, probes = select(spec, model, settings, inputs).load_with_probes()
    with _explaining(f"cannot write `{target}`"):
        write(target, graph, initial(graph, seed), probes=probes, format=target_format)


def _variant(selection: Selection, changes: Mapping[str, Any]) -> Graph | None:
    """The graph with other values of its parameters, where there is one; standard input was read already."""
    from cnnspec import api, loading
    from cnnspec.diagnostics import SpecError

    if selection.spec == "-":
        return None
    try:
        checked = api.check(
            loading.parse_all(loading.find(selection.spec)),
            model=selection.model,
            parameters={**selection.parameters, **changes},
            inputs=selection.inputs,
        )
    except (SpecError, api.UnnamedShape):
        return None
    return None if checked.failed else checked.graph


@contextmanager
def _explaining(what: str) -> Iterator[None]:
    """Turn what is wrong with files into messages: with their use into status 2, with what they hold into 1."""
    from cnnspec.weights import MissingPackage, UnknownFormat, WeightError

    try:
        yield
    except WeightError as error:
        click.echo(f"error: {error}", err=True)
        click.get_current_context().exit(1)
    except (UnknownFormat, MissingPackage) as error:
        raise click.UsageError(str(error.args[0])) from None
    except OSError as error:
        raise click.UsageError(f"{what}: {error.strerror or error}") from None
