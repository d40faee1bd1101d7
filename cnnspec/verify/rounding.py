"""What rounding makes of a network: how far each result and each gradient moves when every value is rounded once.

An error of a target is a mistake or it is rounding, and its size alone does not say which.  A gradient that is zero by
structure, such as that of a bias before a batch norm in training, consists of rounding alone; a norm over three nearly
equal values, or a maximum of two, makes much of little.  How much is measured on the definition, by Monte Carlo
arithmetic (D. S. Parker, *Monte Carlo arithmetic*, 1997): a pass forward and back is made again with a random relative
error, of the size of one rounding, on every value that a layer gives, forward and back, and on every channel of them,
and on what a layer takes differences of on its way (`Runtime.disturbed`); what comes out is compared with the pass
without.  Steps of training are made again with such an error on every weight at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from cnnspec.backend import LayerPass, Runtime
from cnnspec.graph import Graph, Node
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.verify.comparison import UNIT
from cnnspec.verify.exchange import observe
from cnnspec.weights import generator_for, known

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

DRAWS = 2
"""How often it is measured; the largest counts."""

ENLARGED = 2.0**10
"""How much larger than a rounding the errors are, of which the effect is divided by as much.

Errors of one rounding would themselves be rounded, most of them to nothing.
"""

# What these give is a choice among what they get, or its sign changed: nothing is rounded.
EXACT = frozenset(
    ["max_pool", "adaptive_max_pool", "global_max_pool", "relu", "relu6", "leaky_relu", "abs", "hard_tanh", "identity",
     "flatten", "reshape", "permute", "pad", "crop", "channel_shuffle", "pixel_shuffle", "slice", "split", "concat",
     "dropout", "channel_dropout", "stochastic_depth", "parameter"]
)  # fmt: skip


def rounding(
    runtime: Runtime,
    model: Any,
    graph: Graph,
    inputs: Mapping[str, Array],
    cotangents: Mapping[str, Array],
    *,
    training: bool,
    seed: int,
    backwards: bool = True,
) -> dict[str, float]:
    """How far rounding every value once in float64 moves each array, at most: absolutely, by the array's name.

    Names are ``output NAME``, a layer's path, ``gradient input NAME``, ``gradient KEY`` for a weight, and the key of a
    running statistic after a training pass.  ``backwards`` includes gradients.  ``runtime`` is one that runs
    every layer alone; ``model`` has its weights.
    """
    import numpy

    noises = [None, *draws(seed)]
    nodes = [node for node in graph.layers if training or not node.auxiliary]
    found: dict[str, float] = {}

    def run(
        node: Node, given: Sequence[Array], pulling: Sequence[Array], noise: numpy.random.Generator | None
    ) -> LayerPass:
        with nullcontext() if noise is None else runtime.disturbed(partial(noisy, noise)):
            result = runtime.layer(model, graph, node, given, pulling, training=training)
        if result is None:
            raise RuntimeError(f"`{node.path}` cannot be run alone")
        return result

    def disturbed(node: Node, array: Array, noise: numpy.random.Generator | None) -> Array:
        return array if noise is None or node.layer.kind in EXACT else noisy(noise, array)

    def note(name: str, arrays: list[Array]) -> None:
        exact, *others = arrays
        found[name] = max(float(numpy.abs(exact - other).max(initial=0.0)) for other in others) / ENLARGED

    batch = len(next(iter(inputs.values())))
    # Of each value: without errors, and with those of each draw.
    values = {port.value: [inputs[port.name]] * len(noises) for port in graph.inputs}
    last = {value: node for node in nodes for value in node.inputs}
    kept = {port.value for port in graph.outputs}
    for node in nodes:
        # What takes nothing learns from its cotangents how many samples there are.
        samples = [numpy.zeros((batch, *known(graph.shape(node.outputs[0]))))] if not node.inputs else []
        for value in node.outputs:
            values[value] = []
        for number, noise in enumerate(noises):
            result = run(node, [values[value][number] for value in node.inputs], samples, noise)
            for value, array in zip(node.outputs, result.outputs, strict=True):
                values[value].append(disturbed(node, array, noise))
        if len(node.outputs) == 1:
            note(node.path, values[node.outputs[0]])
        if training and isinstance(node.layer, BatchNorm):
            given = values[node.inputs[0]]
            axes = (0, *range(2, given[0].ndim))
            for name, arrays in (
                ("running_mean", [array.mean(axis=axes) for array in given]),
                ("running_var", [array.var(axis=axes, ddof=1) for array in given]),
            ):
                note(f"{node.path}.{name}", [node.layer.momentum * array for array in arrays])
        if not backwards:
            for value in (*node.inputs, *node.outputs):
                if last.get(value, node) is node and value not in kept:
                    values.pop(value, None)
    for port in graph.outputs:
        if training or not port.auxiliary:
            note(f"output {port.name}", values[port.value])
    if not backwards:
        return found

    pulled: dict[int, list[Array]] = {}

    def add(value: int, arrays: list[Array]) -> None:
        before = pulled.get(value)
        pulled[value] = arrays if before is None else [one + more for one, more in zip(before, arrays, strict=True)]

    for port in graph.outputs:
        if port.name in cotangents:
            add(port.value, [cotangents[port.name]] * len(noises))
    for node in reversed(nodes):
        if pulled.keys().isdisjoint(node.outputs):
            continue
        results = []
        for number, noise in enumerate(noises):
            pulling = [
                pulled[value][number] if value in pulled else numpy.zeros(values[value][0].shape)
                for value in node.outputs
            ]
            results.append(run(node, [values[value][number] for value in node.inputs], pulling, noise))
        for place, value in enumerate(node.inputs):
            add(
                value,
                [disturbed(node, result.inputs[place], noise) for result, noise in zip(results, noises, strict=True)],
            )
        for weight in node.weights:
            if weight.trainable:
                note(f"gradient {node.key(weight)}", [result.weights[weight.name] for result in results])
        for value in node.outputs:
            pulled.pop(value, None)
            values.pop(value, None)
    for port in graph.inputs:
        if port.value in pulled:
            note(f"gradient input {port.name}", pulled[port.value])
    return found


def course_rounding(courses: Iterable[Iterable[Mapping[str, Array]]]) -> list[dict[str, float]]:
    """How far the states of the other courses are from the first one's, at most, by step and key.

    The first one is without errors, the others have those of `noisy`.  Large arrays are folded as the results of
    targets are, so that the same differences are compared.
    """
    import numpy

    exact, *others = (
        [{key: observe(array).values for key, array in state.items()} for state in course] for course in courses
    )
    return [
        {
            key: max(float(numpy.abs(values - other[key]).max(initial=0.0)) for other in same_step) / ENLARGED
            for key, values in state.items()
        }
        for state, *same_step in zip(exact, *others, strict=True)
    ]


def draws(seed: int) -> list[numpy.random.Generator]:
    """The sources of the errors of each measurement."""
    return [generator_for(seed, f"rounding {number}") for number in range(DRAWS)]


def noisy(noise: numpy.random.Generator, array: Array) -> Array:
    """The array with a relative error of `ENLARGED` roundings on every value, and on all values of a channel alike."""
    import numpy

    result: Array = array * (1 + ENLARGED * UNIT * noise.standard_normal(array.shape))
    if array.ndim > 1:
        # What a sum of all values of a channel rounds, such as the mean in a norm, moves all of them alike.
        axes = (0, *range(2, array.ndim))
        size = numpy.sqrt(numpy.square(array).mean(axis=axes, keepdims=True))
        result += ENLARGED * UNIT * size * noise.standard_normal(size.shape)
    return result
