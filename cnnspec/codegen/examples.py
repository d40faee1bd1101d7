"""Other uses of a graph's blocks, drawn from the spec that the graph came from."""

from __future__ import annotations

import json
from functools import lru_cache

from cnnspec.codegen.source import files_of
from cnnspec.diagnostics import SpecError
from cnnspec.expand import expand
from cnnspec.expand.drawing import draw_uses
from cnnspec.graph import Graph


def drawn(graph: Graph) -> list[Graph]:
    """Other valid uses of the blocks in a graph, each in a graph of its own.

    There are none for a graph whose sources do not give it again: one made otherwise, or one with parameters that are
    not plain.
    """
    sources = tuple(graph.sources.items())
    return _drawn(sources, graph.name, json.dumps(graph.model_dump(mode="json", include={"parameters"})))


@lru_cache(maxsize=4)
def _drawn(sources: tuple[tuple[str, str], ...], model: str, parameters: str) -> list[Graph]:
    try:
        files = files_of(sources)
    except SpecError:
        return []
    expansion = expand(files, dict(sources), model=model, parameters=json.loads(parameters)["parameters"])
    return draw_uses(expansion.expander, dict(sources)).graphs if expansion.expander is not None else []
