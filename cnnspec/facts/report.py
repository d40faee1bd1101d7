"""Reports on a graph: its facts as plain data, as a table of text, and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from cnnspec.facts.memory import BYTES_PER_ELEMENT, activation_memory
from cnnspec.facts.receptive_field import Field, receptive_fields
from cnnspec.facts.training import training_macs
from cnnspec.graph import Branch, Graph, Item, Loop, Node, Scope
from cnnspec.layers.base import Layer
from cnnspec.shapes import Dim, Shape, Symbolic, show

LONGEST_FORMULA = 40
"""Symbolic counts that are longer are cut in reports for people; the data has them whole."""
WIDEST_COLUMN = 48
"""A longer shape is cut, and a longer name goes beyond its column, so that one of them does not widen every row."""
DEEPEST = 100
"""Levels of the table; what a path has beyond them stays one label."""


# ---- data -------------------------------------------------------------------------------------------------------


def as_data(graph: Graph) -> dict[str, Any]:
    """The facts of a graph as plain data, for JSON.  Symbolic sizes are text; ``params`` has no running statistics."""
    memory = activation_memory(graph)
    training = training_macs(graph)
    fields = receptive_fields(graph)
    return {
        "model": graph.name,
        "parameters": dict(graph.parameters),
        "params": graph.params,
        "trainable_params": graph.params,
        "running_statistics": graph.buffer_elements,
        "params_by_kind": params_by_kind(graph),
        "macs": _plain(graph.macs),
        "training_macs": _plain(_sum(training.values())),
        "activation_elements": {"training": _plain(memory.training), "inference": memory.inference},
        "inputs": [{"name": port.name, "shape": _sizes(graph.values[port.value])} for port in graph.inputs],
        "outputs": [
            {"name": port.name, "shape": _sizes(graph.values[port.value]), "auxiliary": port.auxiliary}
            for port in graph.outputs
        ],
        "layers": [
            {
                "path": node.path,
                "kind": node.layer.kind,
                "output": _sizes(graph.values[node.outputs[0]]),
                "outputs": [_sizes(graph.values[value]) for value in node.outputs],
                "params": node.params,
                "trainable_params": node.params,
                "running_statistics": sum(weight.size for weight in node.weights if not weight.trainable),
                "macs": _plain(node.macs),
                "training_macs": _plain(training[node.path]),
                "receptive_field": _field_data(fields[node.outputs[0]]),
                "auxiliary": node.auxiliary,
            }
            for node in graph.layers
        ],
    }


def params_by_kind(graph: Graph) -> dict[str, int]:
    """Trainable parameters by the kind of layer that has them."""
    counts: dict[str, int] = {}
    for node in graph.layers:
        if node.params:
            counts[node.layer.kind] = counts.get(node.layer.kind, 0) + node.params
    return counts


def _field_data(field: Field) -> dict[str, Any]:
    return {
        "size": _sizes(field.size),
        "stride": [_number(position) for position in field.stride],
        "offset": [_number(position) for position in field.offset],
        "whole": field.whole,
    }


def _number(position: int | Fraction) -> int | float:
    return position if isinstance(position, int) else float(position)


def _plain(count: Dim) -> int | str:
    return count if isinstance(count, int) else str(count)


def _sizes(shape: Shape) -> list[int | str]:
    return [_plain(size) for size in shape]


def _sum(counts: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for count in counts:
        total = total + count
    return total


# ---- places: the tree of paths ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Place:
    """A path: a layer, or what has further paths below it."""

    label: str
    kind: str = ""
    node: Node | None = None
    outputs: tuple[int, ...] = ()
    children: dict[str, _Place] = field(default_factory=dict)

    def nodes(self) -> Iterator[Node]:
        if self.node is not None:
            yield self.node
        for child in self.children.values():
            yield from child.nodes()

    def described(self) -> str:
        """What stands here: a layer, a block, or what is inside a group."""
        if kind := self.heading():
            return kind
        kinds = [child.kind for child in self.children.values()]
        return ", ".join(kinds) if len(kinds) <= 3 and all(kinds) else f"{len(kinds)} parts"

    def heading(self) -> str:
        """What stands here, where the inside follows and need not be told."""
        if self.node is not None:
            return _kind(self.node.layer) + (" (auxiliary)" if self.node.auxiliary else "")
        if self.kind:
            return self.kind
        kinds = [child.kind for child in self.children.values()]
        alike = len(kinds) > 1 and set(kinds) == {kinds[0]} != {""}
        return f"{len(kinds)} x {kinds[0]}" if alike else ""


def _places(graph: Graph) -> _Place:
    """The tree of paths, each level in order of computation."""
    root = _Place("")

    def place(path: str) -> _Place:
        here = root
        for part in path.split(".", DEEPEST):
            here = here.children.setdefault(part, _Place(part))
        return here

    def collect(body: tuple[Item, ...]) -> None:
        for item in body:
            match item:
                case Node():
                    at = place(item.path)
                    at.node, at.kind, at.outputs = item, item.layer.kind, item.outputs
                case Scope():
                    at = place(item.path)
                    at.kind, at.outputs = item.definition, item.outputs
                    collect(item.body)
                case Branch():
                    collect(item.body)
                case Loop():
                    for turn in item.turns:
                        collect(turn.body)

    collect(graph.root.body)
    return root


def _kind(layer: Layer) -> str:
    """A layer's kind with what its output's shape does not tell: its window."""
    words = [layer.kind]
    kernel = getattr(layer, "kernel", None)
    if kernel is not None:
        words[0] += f" {_per_axis(kernel)}"
    for name in ("stride", "dilation", "groups"):
        value = getattr(layer, name, None)
        if value not in (None, 1, kernel):
            words.append(f"{name} {_per_axis(value)}")
    return ", ".join(words)


def _per_axis(value: int | tuple[int, ...]) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


# ---- rows -------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A line of the table."""

    level: int
    label: str
    kind: str
    output: str = ""
    params: str = ""
    macs: str = ""
    field: str = ""


HEAD = Row(0, "layer", "kind", "output", "params", "MACs", "field")


class _Table:
    """Makes the rows of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.fields = receptive_fields(graph)
        self.top = tuple(_places(graph).children.values())

    def inputs(self) -> list[Row]:
        return [Row(0, port.name, "input", show(self.graph.values[port.value])) for port in self.graph.inputs]

    def folded(self, place: _Place, level: int) -> Row:
        """One row for a place and all that is inside."""
        nodes = list(place.nodes())
        if not nodes:
            return self.opened(place, level)
        outputs = place.outputs or nodes[-1].outputs
        return Row(
            level,
            place.label,
            place.described(),
            _cut(", ".join(show(self.graph.values[value]) for value in outputs), WIDEST_COLUMN),
            _cell(sum(node.params for node in nodes)),
            _cell(_sum(node.macs for node in nodes)),
            str(self.fields[outputs[0]]),
        )

    def opened(self, place: _Place, level: int) -> Row:
        """The heading of a place whose inside follows."""
        return Row(level, place.label, place.heading())

    def rows(self, places: Iterable[_Place], depth: int | None, level: int = 0) -> Iterator[Row]:
        for place in places:
            if not place.children or level + 1 == depth:
                yield self.folded(place, level)
            else:
                alone = _Place(place.label, place.kind, place.node, place.outputs)
                yield self.folded(alone, level) if place.node is not None else self.opened(place, level)
                yield from self.rows(place.children.values(), depth, level + 1)


def rows(graph: Graph, depth: int | None = None) -> list[Row]:
    """A row for each layer and each block; at ``depth`` levels blocks are folded into one row with their sums."""
    table = _Table(graph)
    return [*table.inputs(), *table.rows(table.top, depth)]


def totals(graph: Graph) -> dict[str, str]:
    """What a model takes and costs in all, by what it is called."""
    memory = activation_memory(graph)
    statistics = graph.buffer_elements
    auxiliary = any(node.auxiliary for node in graph.layers)
    return {
        "parameters": f"{graph.params:,} trainable" + (f", {statistics:,} running statistics" if statistics else ""),
        "MACs": f"{count(graph.macs)} forward{' without auxiliary heads' if auxiliary else ''}, "
        f"{count(_sum(training_macs(graph).values()))} in a training step",
        "activations": f"{_bytes(memory.training)} in training"
        + (f", at most {_bytes(memory.inference)} at once in inference" if memory.inference is not None else "")
        + " (one sample, float32)",
    }


def count(number: Dim) -> str:
    """A count with thousands separated; a formula where sizes are symbolic."""
    if not isinstance(number, Symbolic):
        return f"{number:,}"
    return _cut(str(number), LONGEST_FORMULA)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _cell(number: Dim) -> str:
    return "" if isinstance(number, int) and number == 0 else count(number)


def _bytes(elements: Dim) -> str:
    size = elements * BYTES_PER_ELEMENT
    if isinstance(size, Symbolic):
        return f"{count(size)} bytes"
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} bytes"


def title(graph: Graph) -> str:
    """The model with its parameters, as in ``ResNet50(classes = 1000)``."""
    arguments = ", ".join(f"{name} = {_written(value)}" for name, value in graph.parameters.items())
    return f"{graph.name}({arguments})" if arguments else graph.name


def _written(value: Any) -> str:
    """A plain value as specs write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)


def signature(graph: Graph) -> str:
    """What goes in and what comes out: ``3x224x224 -> 1000``."""
    several = len(graph.inputs) > 1, len(graph.outputs) > 1
    sides = [
        ", ".join((f"{port.name} " if named else "") + show(graph.values[port.value]) for port in ports)
        for ports, named in zip((graph.inputs, graph.outputs), several, strict=True)
    ]
    return " -> ".join(sides)


# ---- text -------------------------------------------------------------------------------------------------------


def as_text(graph: Graph, depth: int | None = None) -> str:
    """The table of layers and the totals below it."""
    table = [(f"{'  ' * row.level}{row.label}", *row[2:]) for row in (HEAD, *rows(graph, depth))]
    return "\n".join([title(graph), "", *aligned(table, words=3), "", *_entries(totals(graph))])


def as_totals(graph: Graph) -> str:
    """A model in a few lines: what goes in and out, and the totals."""
    entries = _entries({"layers": f"{len(graph.layers):,}"} | totals(graph))
    return "\n".join([f"{title(graph)}: {signature(graph)}", *(f"  {line}" for line in entries)])


def aligned(table: Sequence[Sequence[str]], words: int) -> list[str]:
    """A table as lines, its first row the heading: so many columns of words to the left, then numbers to the right."""
    widths = [min(max(len(line[column]) for line in table), WIDEST_COLUMN) for column in range(len(table[0]))]
    lines = []
    for line in table:
        cells = [
            text.ljust(width) if column < words else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _entries(entries: dict[str, str]) -> list[str]:
    width = max(map(len, entries))
    return [f"{name.ljust(width)}  {text}" for name, text in entries.items()]


# ---- HTML -------------------------------------------------------------------------------------------------------

_STYLE = """\
.cnnspec { font: 13px monospace; max-width: 80em }
.cnnspec .row { display: grid; grid-template-columns: 3fr 3fr 2fr 2fr 2fr 1fr; gap: 1em; padding: 1px 0 }
.cnnspec .row :nth-child(n + 4) { text-align: right }
.cnnspec details > :not(summary) { border-left: 1px solid #8884 }
.cnnspec summary { cursor: pointer; display: block }
.cnnspec summary .row > :first-child::before { content: "▸ " }
.cnnspec details[open] > summary .row > :first-child::before { content: "▾ " }
.cnnspec .head { font-weight: bold; border-bottom: 1px solid }
"""


def as_html(graph: Graph) -> str:
    """The table for a notebook; a block opens at a click, and shows its sums."""
    from html import escape

    table = _Table(graph)

    def line(row: Row, style: str = "row") -> str:
        cells = [f'<span style="padding-left: {row.level}em">{escape(row.label)}</span>']
        cells += [f"<span>{escape(cell)}</span>" for cell in row[2:]]
        return f'<div class="{style}">{"".join(cells)}</div>'

    def fold(places: Iterable[_Place], level: int) -> Iterator[str]:
        for place in places:
            row = line(table.folded(place, level))
            if place.children:
                inside = "".join(fold(place.children.values(), level + 1))
                yield f"<details><summary>{row}</summary>{inside}</details>"
            else:
                yield row

    parts = [
        f"<div><b>{escape(title(graph))}</b></div>",
        line(HEAD, "row head"),
        *map(line, table.inputs()),
        *fold(table.top, 0),
        *(f"<div>{escape(name)}: {escape(text)}</div>" for name, text in totals(graph).items()),
    ]
    return f'<style>{_STYLE}</style><div class="cnnspec">{"".join(parts)}</div>'
