"""``cnnspec list``."""

from __future__ import annotations

import re
from typing import Any

import click

from cnnspec.cli.output import as_json
from cnnspec.cli.selection import as_json_option
from cnnspec.zoo import LIBRARIES


@click.command("list", short_help="List the shipped networks.")
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--library", type=click.Choice(LIBRARIES), help="Only networks of this library.")
@click.option("--max-params", type=float, metavar="NUMBER", help="Only networks of at most so many parameters.")
@click.option("--max-macs", type=float, metavar="NUMBER", help="Only networks of at most so many multiply-accumulates.")
@as_json_option
def command(
    words: tuple[str, ...], library: str | None, max_params: float | None, max_macs: float | None, as_data: bool
) -> None:
    """List the shipped networks with their numbers; with WORDs, those that have all of them in their name.

    As in `cnnspec list resnet --max-params 3e7`.
    """
    from cnnspec import api, loading, zoo
    from cnnspec.facts.report import aligned, count
    from cnnspec.facts.report import as_data as facts
    from cnnspec.shapes import show

    parsed: dict[Any, loading.Parsed] = {}
    found: list[dict[str, Any]] = []
    table = [("name", "library", "input", "params", "MACs", "layers")]
    for name, network in sorted(zoo.models().items(), key=lambda entry: _natural_order(entry[0])):
        if library not in (None, network.library) or not all(word.casefold() in name for word in words):
            continue
        if network.path not in parsed:
            parsed[network.path] = loading.parse_all(loading.find(str(network.path)))
        graph = api.check(parsed[network.path], model=network.name).graph
        if graph is None or _above(graph.params, max_params) or _above(graph.macs, max_macs):
            continue
        if as_data:
            data = facts(graph)
            found.append({"name": name, "library": network.library, "layers": len(data.pop("layers")), **data})
        shape = ", ".join(show(graph.values[port.value]) for port in graph.inputs)
        numbers = (count(graph.params), count(graph.macs), count(len(graph.layers)))
        table.append((name, network.library, shape, *numbers))
    if as_data:
        click.echo(as_json(found))
    elif len(table) == 1:
        click.echo("there is no such network", err=True)
    else:
        click.echo("\n".join(aligned(table, words=3)))


def _above(number: Any, limit: float | None) -> bool:
    """Whether a count is known and larger than the limit."""
    return limit is not None and isinstance(number, int) and number > limit


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Sorts ``resnet18`` before ``resnet101``."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.findall(r"\d+|\D+", name)]
