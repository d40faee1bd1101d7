"""Each layer alone in float32, against the definition in float64.

What a whole network makes of float32 in its gradients is chance: of millions of values some lie so near the kink of a
ReLU that rounding puts them on its other side.  A layer alone can be judged: its inputs and cotangents have no rounding
errors, and its inputs keep away from kinks and from each other.  Layers that are alike are run once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from cnnspec.backend import Backend, LayerPass, Runtime
from cnnspec.diagnostics import Span
from cnnspec.graph import Graph, Node, Port
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.verify.comparison import ALLOWANCE, SINGLE_GATE, SINGLE_STEP_GATE
from cnnspec.verify.exchange import MODES, OUTPUT, Job, Mode, Single
from cnnspec.verify.optimisers import optimiser
from cnnspec.verify.probing import paired
from cnnspec.weights import draw, generator_for, known

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

ALONE = "<layers alone>"
"""The file that a network of layers alone would come from: they are no part of a spec there."""
LOWEST, HIGHEST = -3.2, 3.8
"""Between these lie the inputs of a layer alone, evenly; their mean is that of a network's inputs."""
KINKS = (-3.0, -1.0, 0.0, 1.0, 3.0)
"""Where activations have theirs."""
DISTANCE = 1 / 64
"""How far inputs keep away from them."""


@dataclass(slots=True)
class _Definition:
    """The backend that says who is right, in both precisions."""

    exact: Runtime
    rounded: Runtime
    graph: Graph
    model: Any

    def passed(self, node: Node, given: _Given, mode: Mode, *, exact: bool = True) -> LayerPass:
        runtime = self.exact if exact else self.rounded
        result = runtime.layer(
            self.model, self.graph, node, given.inputs, given.cotangents, training=mode == "training"
        )
        if result is None:
            raise RuntimeError(f"the definition cannot run `{node.path}` alone")
        return result


@dataclass(frozen=True, slots=True)
class _Given:
    """What a layer alone is given: numbers of float32."""

    inputs: list[Array]
    cotangents: list[Array]


def singles(job: Job, graph: Graph, chosen: Backend, defining: Backend, runtime: Runtime, model: Any) -> list[Single]:
    """Every kind of layer of a network alone, forward, back, and a step of training, in the runtime's float32.

    Layers of the network's own code run as they are there.  Those that it has in expressions, and all of a target whose
    layers cannot be run alone, run side by side, in the code that the same emitter writes for a network of them.
    ``model`` is the network's; its weights are loaded anew.
    """
    import numpy

    state = {key: values.astype(numpy.float32) for key, values in draw(graph, job.seed).items()}
    target = defining.targets[0]
    exact = defining.runtime(target, "float64")
    definition = _Definition(exact, defining.runtime(target, "float32"), graph, exact.build("", graph))
    exact.load(definition.model, graph, {key: values.astype(numpy.float64) for key, values in state.items()})
    runtime.load(model, graph, state)
    alike = kinds(graph)
    found: list[Single] = []
    for mode in MODES:
        rest: list[Node] = []
        for node, *others in alike.values():
            # Batch norms alone do something else in evaluation: dropout is off.
            if mode == "evaluation" and not isinstance(node.layer, BatchNorm):
                continue
            given = _draw(graph, node, job)
            passed = runtime.layer(model, graph, node, given.inputs, given.cotangents, training=mode == "training")
            if passed is None:
                rest.append(node)
            else:
                found.append(_judged(definition, state, node, given, mode, passed, 1 + len(others), own=True))
        if rest:
            numbers = {nodes[0].path: len(nodes) for nodes in alike.values()}
            for node, passed in _side_by_side(job, graph, chosen, runtime, state, rest, mode):
                given = _draw(graph, node, job)
                found.append(_judged(definition, state, node, given, mode, passed, numbers[node.path], own=False))
    return found


def kinds(graph: Graph) -> dict[tuple[Any, ...], list[Node]]:
    """The layers of a network, those together that are alike: of one kind, with the same arguments and shapes.

    Left out is what no input of the network reaches.
    """
    reached = {port.value for port in graph.inputs}
    found: dict[tuple[Any, ...], list[Node]] = {}
    for node in graph.layers:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
            shapes = tuple(graph.shape(value) for value in node.inputs)
            found.setdefault((node.layer.kind, node.layer.model_dump_json(), shapes), []).append(node)
    return found


def spread_out(seed: int, name: str, shape: tuple[int, ...], place: int = 0, of: int = 1) -> Array:
    """An array of numbers of float32, channels first, that keep away from kinks and from each other.

    The values of a channel lie in random order, each in a cell of its own, all at the same place in it: no two are
    nearly equal, and their variance is always large.  The ``of`` inputs of one layer have different places in the cell.
    """
    import numpy

    generator = generator_for(seed, f"spread {name} {place}")
    batch, channels, *sizes = shape
    moved = (channels, batch, *sizes)
    count = int(numpy.prod(moved)) // channels
    order = generator.permuted(numpy.tile(numpy.arange(count, dtype=numpy.float64), (channels, 1)), axis=1)
    within = (place + generator.uniform(0.25, 0.75, (channels, 1))) / of
    values = LOWEST + (HIGHEST - LOWEST) * (order + within) / count
    for kink in KINKS:
        # What is near it moves from 0 to 2 distances away to between 1 and 2.
        apart = values - kink
        near = numpy.abs(apart) < 2 * DISTANCE
        values[near] = kink + apart[near] / 2 + numpy.copysign(DISTANCE, apart[near])
    return numpy.moveaxis(values.reshape(moved), 0, 1).astype(numpy.float32)


def _draw(graph: Graph, node: Node, job: Job) -> _Given:
    import numpy

    def shape(value: int) -> tuple[int, ...]:
        return (job.batch, *known(graph.shape(value)))

    inputs = [
        spread_out(job.seed, node.path, shape(value), place, len(node.inputs))
        for place, value in enumerate(node.inputs)
    ]
    cotangents = [
        generator_for(job.seed, f"cotangent {node.path} {place}").standard_normal(shape(value)).astype(numpy.float32)
        for place, value in enumerate(node.outputs)
    ]
    return _Given(inputs, cotangents)


def _judged(
    definition: _Definition,
    state: Mapping[str, Array],
    node: Node,
    given: _Given,
    mode: Mode,
    passed: LayerPass,
    alike: int,
    *,
    own: bool,
) -> Single:
    """The errors of a layer that was run."""
    expected = definition.passed(node, given, mode)
    errors = {what: _error(array, found, 0.0) for what, array, found in paired(expected, passed)}
    if any(not error <= _gate(what) for what, error in errors.items()):
        # What cancels within a layer, such as the gradient of a norm over two values, has the definition's own float32
        # for its measure.
        rounded = definition.passed(node, given, mode, exact=False)
        own_error = {what: _furthest(array, found) for what, array, found in paired(expected, rounded)}
        # Where that overflows it measures nothing.
        scales = {
            what: ALLOWANCE * error / _gate(what) if isfinite(error) else 0.0 for what, error in own_error.items()
        }
        errors = {what: _error(array, found, scales[what]) for what, array, found in paired(expected, passed)}
    weights = {weight.name: state[node.key(weight)] for weight in node.weights if weight.trainable}
    steps: dict[str, float] = {}
    if weights and all(_same_shape(weights[name], passed.weights.get(name)) for name in weights):
        import numpy

        exact = {name: values.astype(numpy.float64) for name, values in weights.items()}
        goals = optimiser("sgd").step(exact, {name: expected.weights[name] for name in weights})
        moved = optimiser("sgd").step(weights, {name: passed.weights[name] for name in weights})
        steps = {name: _error(goals[name], moved[name], 0.0) for name in weights}
    return Single(
        path=node.path,
        mode=mode,
        alike=alike,
        own=own,
        output=max((error for what, error in errors.items() if what.startswith(OUTPUT)), default=0.0),
        gradients={what: error for what, error in errors.items() if not what.startswith(OUTPUT)},
        steps=steps,
    )


def _side_by_side(
    job: Job,
    graph: Graph,
    chosen: Backend,
    runtime: Runtime,
    state: Mapping[str, Array],
    nodes: Sequence[Node],
    mode: Mode,
) -> Iterator[tuple[Node, LayerPass]]:
    """Each of these layers, in a network that has all of them side by side, with inputs and outputs of their own."""
    lone = side_by_side(graph, nodes)
    model = runtime.build_blank(chosen.emit(lone, []), lone)
    loaded = {
        key: state[key_there]
        for node, there in zip(lone.layers, nodes, strict=True)
        for key, key_there in zip(map(node.key, node.weights), map(there.key, there.weights), strict=True)
    }
    inputs: dict[str, Array] = {}
    cotangents: dict[str, Array] = {}
    names = iter(lone.inputs), iter(lone.outputs)
    ports: list[tuple[list[str], list[str]]] = []
    for node in nodes:
        given = _draw(graph, node, job)
        here = [next(names[0]).name for _ in node.inputs], [next(names[1]).name for _ in node.outputs]
        inputs.update(zip(here[0], given.inputs, strict=True))
        cotangents.update(zip(here[1], given.cotangents, strict=True))
        ports.append(here)
    training = mode == "training"
    runtime.load(model, lone, loaded)
    outputs = runtime.forward(model, lone, inputs, training=training).outputs
    runtime.load(model, lone, loaded)
    pulled = runtime.gradients(model, lone, inputs, cotangents, training=training)
    for node, there, (ins, outs) in zip(nodes, lone.layers, ports, strict=True):
        weights = {weight.name: pulled.state[there.key(weight)] for weight in there.weights if weight.trainable}
        yield (
            node,
            LayerPass(
                tuple(outputs[name] for name in outs),
                tuple(pulled.inputs[name] for name in ins),
                weights,
            ),
        )


def side_by_side(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """A network of these layers of another, each with inputs and outputs of its own."""
    values: list[Any] = []
    inputs: list[Port] = []
    outputs: list[Port] = []
    layers: list[Node] = []

    def add(ports: list[Port], kind: str, at: int, numbers: Sequence[int]) -> tuple[int, ...]:
        added = []
        for place, number in enumerate(numbers):
            ports.append(Port(name=f"{kind}{at}_{place}", value=len(values)))
            added.append(len(values))
            values.append(graph.shape(number))
        return tuple(added)

    for at, node in enumerate(nodes):
        layers.append(
            node.model_copy(
                update={
                    "path": f"layer{at}",
                    "label": f"layer{at}",
                    "named": True,
                    "auxiliary": False,
                    # Emitters tell by their places what is one part of a spec; there is none for this network.
                    "span": Span(ALONE, at + 1, 1, at + 1, 1),
                    "sources": {},
                    "inputs": add(inputs, "given", at, node.inputs),
                    "outputs": add(outputs, "made", at, node.outputs),
                }
            )
        )
    root = graph.root.model_copy(
        update={
            "body": tuple(layers),
            "origin": Span(ALONE, 1, 1, 1, 1),
            "span": Span(ALONE, 1, 1, len(nodes), 1),
            "arguments": {},
            "sources": {},
            "names": {},
            "bindings": (),
            "inputs": tuple(port.value for port in inputs),
            "input_names": tuple(port.name for port in inputs),
            "outputs": tuple(port.value for port in outputs),
        }
    )
    # Not a copy: a graph remembers its layers.
    return Graph(
        name=graph.name,
        parameters={},
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        values=tuple(values),
        root=root,
        sources={ALONE: "\n" * len(nodes)},
    )


def _gate(what: str) -> float:
    return SINGLE_GATE if what.startswith(OUTPUT) else SINGLE_STEP_GATE


def _same_shape(one: Array, other: Array | None) -> bool:
    return other is not None and one.shape == other.shape


def _furthest(expected: Array, found: Array | None) -> float:
    """The largest difference; infinite where there is nothing to compare, or no number."""
    import numpy

    if found is None or expected.shape != found.shape or not numpy.isfinite(found).all():
        return inf
    return float(numpy.abs(numpy.subtract(expected, found, dtype=numpy.float64)).max(initial=0.0))


def _error(expected: Array, found: Array | None, scale: float) -> float:
    """The largest difference, relative to the largest value or to ``scale`` where that is larger."""
    import numpy

    furthest = _furthest(expected, found)
    if furthest == 0:
        return 0.0
    scale = max(float(numpy.abs(expected).max(initial=0.0)), scale)
    return furthest / scale if scale and isfinite(furthest) else inf
