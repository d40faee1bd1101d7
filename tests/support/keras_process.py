"""Generated Keras code run in a process that has one backend of Keras.

The outputs of each network in each precision, and what came of saving it and loading it back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cnnspec import api, loading
from cnnspec.backend import backend
from cnnspec.graph import Graph
from cnnspec.weights import draw, draw_inputs

Network = tuple[str, list[int] | None, dict[str, Any], bool]
"""A spec, the shape of its input, its parameters, and whether it is saved and loaded back."""

SEED = 3
BATCH = 2


def network(spec: str, input_shape: list[int] | None, parameters: dict[str, Any]) -> tuple[Graph, list[Graph]]:
    """A network of the zoo with its probes, for an input of that shape."""
    found = loading.find(spec)
    shapes = {"image": tuple(input_shape)} if input_shape else None
    return api.load_for_compiling(found, inputs=shapes, parameters=parameters)


def run(target: str, networks: list[Network], folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """By the number of the network, the precision or ``loaded``, and the name."""
    emitter = backend("keras")
    results: dict[str, np.ndarray[Any, Any]] = {}
    for number, (spec, input_shape, parameters, saved) in enumerate(networks):
        graph, probes = network(spec, input_shape, parameters)
        source = emitter.emit(graph, probes)
        state, inputs = draw(graph, SEED), draw_inputs(graph, BATCH, SEED)
        for precision in ("float64", "float32"):
            runtime = emitter.runtime(target, precision)
            model = runtime.build(source, graph)
            runtime.load(model, graph, state)
            outputs = runtime.forward(model, graph, inputs, training=False).outputs
            results.update({f"{number}/{precision}/{name}": value for name, value in outputs.items()})
        if saved:
            results.update(
                {f"{number}/loaded/{name}": value for name, value in reloaded(model, inputs, folder).items()}
            )
    return results


def reloaded(model: Any, inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A float32 model saved and loaded back: its names, whether its weights are the same, and its largest deviation."""
    import keras

    path = folder / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    given = [np.moveaxis(value, 1, -1).astype("float32") for value in inputs.values()]
    before, after = (keras.ops.convert_to_numpy(one(given if len(given) > 1 else given[0])) for one in (model, again))
    weights = zip(model.weights, again.weights, strict=True)
    return {
        "same_layers": np.array([one.name for one in model.layers] == [one.name for one in again.layers]),
        "same_weights": np.array(all(np.array_equal(*map(keras.ops.convert_to_numpy, pair)) for pair in weights)),
        "deviation": np.abs(after - before).max() / np.abs(before).max(),
    }
