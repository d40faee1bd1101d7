"""``cnnspec list``."""

from __future__ import annotations

import re
from typing import Any

import click

from cnnspec.cli.output import as_json
from cnnspec.cli.selection import as_json_option


@click.command("list", short_help="List the shipped networks.")
@as_json_option
def command(as_data: bool) -> None:
    """List the shipped networks with their numbers."""
    from cnnspec import api, loading, zoo
    from cnnspec.facts.report import aligned, count
    from cnnspec.facts.report import as_data as facts
    from cnnspec.shapes import show

    parsed: dict[Any, loading.Parsed] = {}
    found: list[dict[str, Any]] = []
    table = [("name", "input", "params", "MACs", "layers")]
    for name, path in sorted(zoo.models().values(), key=lambda entry: _natural_order(entry[0])):
        if path not in parsed:
            parsed[path] = loading.parse_all(loading.Spec(loading.read(path, path.name), path.name, None, path.parent))
        graph = api.check(parsed[path], model=name).graph
        if graph is None:
            continue
        if as_data:
            data = facts(graph)
            found.append({"name": name.lower(), "layers": len(data.pop("layers")), **data})
        shape = ", ".join(show(graph.values[port.value]) for port in graph.inputs)
        table.append((name.lower(), shape, count(graph.params), count(graph.macs), count(len(graph.layers))))
    click.echo(as_json(found) if as_data else "\n".join(aligned(table, words=2)))


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Sorts ``ResNet18`` before ``ResNet101``."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.findall(r"\d+|\D+", name.lower())]
