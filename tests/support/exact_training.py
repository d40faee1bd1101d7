"""A training run in Keras of code with exact training, for a process that has one backend of Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cnnspec
from cnnspec.backend import backend
from cnnspec.weights import draw

RATE = 0.0625
"""The learning rate, exact in float32, to which Keras rounds it."""


def train(text: str, target: str, inputs: Any, wanted: Any, folder: Path) -> tuple[dict[str, Any], list[float]]:
    """The state after a step for each input, and how far other models are off.

    These are the model with Keras's own layers that loads its weights, and the one that was saved and loaded back; at
    last the one loaded back after another step.
    """
    graph = cnnspec.loads(text)
    chosen = backend("keras").exact_training()
    runtime = chosen.runtime(target, "float64")
    import keras

    model = runtime.build(chosen.emit(graph, []), graph)
    runtime.load(model, graph, draw(graph, 1))
    off = []
    with runtime._exact():
        model.compile(keras.optimizers.SGD(RATE), loss="mse")
        for x, y in zip(inputs, wanted, strict=True):
            model.train_on_batch(x.transpose(0, 2, 3, 1), y)
        state = runtime.state(model, graph)
        model.save(folder / "model.keras")
        again = keras.models.load_model(folder / "model.keras")
        plain = runtime.build(backend("keras").emit(graph, []), graph)
        model.save_weights(folder / "model.weights.h5")
        plain.load_weights(folder / "model.weights.h5")
        assert [layer.name for layer in model.layers] == [layer.name for layer in plain.layers]
        for one in (model, again):
            off.append(apart(one, plain))
            one.train_on_batch(x.transpose(0, 2, 3, 1), y)
        off.append(apart(model, again))
    return state, off


def apart(one: Any, other: Any) -> float:
    """The largest difference of the weights of two models."""
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(abs(a - b).max()) for a, b in pairs)
