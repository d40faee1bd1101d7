"""``python -m cnnspec_keras.saving FOLDER TARGET FILE``: build a generated model, load weights, save them with Keras.

The folder has ``graph.json``, ``source.py`` and ``weights.npz``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnspec.graph import Graph
from cnnspec_keras.runtime import KerasRuntime

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]


def save(target: str, graph: Graph, source: str, weights: Mapping[str, Array], path: Path) -> None:
    """Write the weights to a new file, in their own precision."""
    double = any(array.dtype == "float64" for array in weights.values())
    runtime = KerasRuntime(target, "float64" if double else "float32")
    model = runtime.build_blank(source, graph)
    runtime.load(model, graph, weights)
    if path.suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)


def main(folder: Path, target: str, path: Path) -> None:
    """Do what the folder says."""
    import numpy

    graph = Graph.model_validate_json((folder / "graph.json").read_text(encoding="utf-8"))
    with numpy.load(folder / "weights.npz", allow_pickle=False) as arrays:
        weights = {name.removeprefix("/"): arrays[name] for name in arrays.files}
    save(target, graph, (folder / "source.py").read_text(encoding="utf-8"), weights, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
