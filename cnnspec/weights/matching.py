"""Whether a file's weights are those of a spec, and if not, how they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from cnnspec.graph import Graph
from cnnspec.shapes import show
from cnnspec.weights.formats import Stored, WeightError

MOST_LISTED = 12
"""How many differences of a kind a message lists."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a spec has and a file lacks, what it has besides, and (in the file, in the spec) where shapes differ.

    ``names`` are those of the file for what was not found by its name.
    """

    missing: dict[str, Shape]
    surplus: dict[str, Shape]
    reshaped: dict[str, tuple[Shape, Shape]]
    names: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.missing) + len(self.surplus) + len(self.reshaped)

    @property
    def empty(self) -> bool:
        return self.count == 0


class Mismatch(WeightError):
    """A file's weights are not those of the spec; ``settings`` are parameters of the model with which they would be."""

    def __init__(self, what: str, graph: Graph, difference: Difference, settings: Mapping[str, Any]) -> None:
        self.difference = difference
        self.settings = dict(settings)
        options = " ".join(f"--set {name}={_literal(value)}" for name, value in settings.items())
        lines = [f"`{what}` does not fit `{graph.name}`", *_listed(difference)]
        if options:
            lines.append(f"  = help: it fits with `{options}`")
        super().__init__("\n".join(lines))


def compare(graph: Graph, stored: Mapping[str, Stored]) -> Difference:
    """How the arrays in a file differ from the state of a graph."""
    expected = graph.state
    return Difference(
        missing={key: weight.shape for key, weight in expected.items() if key not in stored},
        surplus={key: one.shape for key, one in stored.items() if key not in expected},
        reshaped={
            key: (stored[key].shape, weight.shape)
            for key, weight in expected.items()
            if key in stored and stored[key].shape != weight.shape
        },
        names={key: one.name for key, one in stored.items() if one.name},
    )


def settings_that_fit(
    graph: Graph,
    difference: Difference,
    difference_of: Callable[[Graph], Difference],
    variant: Callable[[Mapping[str, Any]], Graph | None],
) -> dict[str, Any]:
    """Other values of the model's parameters with which nothing differs; empty where none are found.

    Tried are the other value of each flag, and for a number what the file has in place of it; changes are kept one by
    one as they leave fewer differences.
    """
    settings: dict[str, Any] = {}
    while not difference.empty:
        best: tuple[Graph, Difference, str, Any] | None = None
        for name, value in _other_values(graph, difference):
            if name in settings:
                continue
            other = variant({**settings, name: value})
            if other is None:
                continue
            left = difference_of(other)
            if left.count < (best[1] if best else difference).count:
                best = other, left, name, value
        if best is None:
            return {}
        graph, difference, name, value = best
        settings[name] = value
    return settings


def _other_values(graph: Graph, difference: Difference) -> list[tuple[str, Any]]:
    """Values of parameters that the file may have been made with."""
    replaced = {
        (there, here)
        for found, expected in difference.reshaped.values()
        if len(found) == len(expected)
        for there, here in zip(found, expected, strict=True)
        if there != here
    }
    values: list[tuple[str, Any]] = []
    for name, value in graph.parameters.items():
        if isinstance(value, bool):
            values.append((name, not value))
        elif isinstance(value, int):
            values += [(name, there) for there, here in sorted(replaced) if here == value]
    return values


def _listed(difference: Difference) -> list[str]:
    """A line for each difference, up to a number of each kind."""
    groups = (
        [
            f"`{key}` is {show(found)}, and must be {show(expected)}"
            + (f"; it was taken to be `{difference.names[key]}`" if key in difference.names else "")
            + ("; is it transposed?" if sorted(found) == sorted(expected) else "")
            for key, (found, expected) in difference.reshaped.items()
        ],
        [
            f"`{key}`, {show(shape)}, is missing{_nearest(key, shape, difference.surplus)}"
            for key, shape in _first(difference.missing)
        ],
        [
            f"`{key}`, {show(shape)}, is in the file only{_nearest(key, shape, difference.missing)}"
            for key, shape in _first(difference.surplus)
        ],
    )
    counts = len(difference.reshaped), len(difference.missing), len(difference.surplus)
    kinds = "of another shape", "missing", "in the file only"
    lines = []
    for group, count, kind in zip(groups, counts, kinds, strict=True):
        lines += [f"  {line}" for line in group[:MOST_LISTED]]
        if count > MOST_LISTED:
            lines.append(f"  and {count - MOST_LISTED} more {'is' if count == MOST_LISTED + 1 else 'are'} {kind}")
    return lines


def _first(shapes: Mapping[str, Shape]) -> list[tuple[str, Shape]]:
    return list(shapes.items())[:MOST_LISTED]


def _nearest(key: str, shape: Shape, others: Mapping[str, Shape]) -> str:
    """The most similar name on the other side, first among those of the same shape."""
    same = [other for other, its in others.items() if its == shape]
    candidates = same or list(others)
    if not candidates:
        return ""
    matcher = SequenceMatcher(b=key, autojunk=False)

    def likeness(other: str) -> float:
        matcher.set_seq1(other)
        return matcher.ratio()

    best = max(candidates, key=likeness)
    if likeness(best) < (0.6 if same else 0.8):
        return ""
    return f"; nearest is `{best}`" + ("" if same else f", {show(others[best])}")


def _literal(value: Any) -> str:
    """A value as the language writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
