"""The comparison of two targets: pure functions from results to verdicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from cnnspec.graph import Graph, Node
from cnnspec.shapes import show
from cnnspec.verify.exchange import Course, Observation, Outcome, Setting, Slopes
from cnnspec.weights import known

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

GATES = {
    Setting("float64", "evaluation"): 1e-10,
    Setting("float64", "training"): 1e-10,
    Setting("float32", "evaluation"): 1e-5,
    Setting("float32", "training"): 1e-5,
}
"""The largest error, relative to the largest magnitude of each array, that counts as agreement."""

STEP_GATE = 1e-10
"""The same for gradients, and for weights after steps of training, in float64.

In float32 those of whole networks are told and not judged: rounding puts some of a deep network's millions of values on
the other side of a kink, where gradients jump, in every framework alike and by chance.  Each layer alone is judged.
"""

SINGLE_GATE = 1e-5
"""The same for the output of a layer alone in float32."""

SINGLE_STEP_GATE = 1e-4
"""The same for its gradients, and for its weights after a step of training."""

ALLOWANCE = 100.0
"""How many times more a target may round, forward, than the definition with one rounding of every value.

A layer of a framework rounds more than once: a sum of ``n`` terms has an error of up to ``sqrt(n)`` roundings
(N. J. Higham and T. Mary, *A new approach to probabilistic rounding error analysis*, 2019), and ``n`` is some 10,000 in
a window.  Arithmetic with fewer digits than float32 has roundings that are 8000 times larger (TF32, float16) or more.
"""

GRADIENT_ALLOWANCE = 1000.0
"""The same for gradients, which are sums over all positions of a batch, up to a million."""

UNIT = 2.0**-53
"""One rounding in float64, relative to the value."""

ROUNDINGS = {"float64": 1.0, "float32": 2.0**29}
"""How large a rounding is, in units of one in float64."""

INEXACT_GATE = 1e-6
"""In place of the gates for float64, for gradients that a framework multiplies by a constant of float32."""

DIRECTION_GATE = 1e-4
"""The same for a gradient along a direction against a difference, of which rounding and kinks leave few digits."""

SMALLEST_PEAK = 1e-3
"""Smaller layers are measured against this: a mean that is zero but for rounding has no digits to compare."""


@dataclass(frozen=True, slots=True)
class Look:
    """One input of the layer that diverges: where it comes from, and how well it agreed (None where unseen)."""

    path: str
    node: Node | None
    error: float | None


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two targets part: the first layer whose result, or whose state (``key``), differs by more than the gate.

    ``output`` is set where an output differs and no layer that both could show does; ``missing`` where the target has
    no such ``key``.
    """

    node: Node
    error: float
    key: str = ""
    missing: bool = False
    output: str = ""
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    inputs: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target against the reference in one setting: the worst errors, and what cannot be put as an error."""

    output_error: float
    layer_error: float
    state_error: float
    layers: int
    problems: tuple[str, ...]
    ok: bool
    divergence: Divergence | None = field(default=None)
    errors: Mapping[str, float] = field(default_factory=dict)
    """Of each output, by name, and of each part of the state that was compared, by key."""
    excused: Mapping[str, float] = field(default_factory=dict)
    """What is off by more than the usual gate and within what rounding makes of it: the gates that hold instead."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Gradients, or weights after steps of training, of one target against the reference's.

    ``errors`` are by key, and by ``input NAME``; ``steps`` has the largest of each step of training.  ``loose`` are the
    names that are judged by `INEXACT_GATE`.
    """

    errors: Mapping[str, float]
    judged: bool
    """Whether errors are held against the gate; what is infinite, missing or of another shape is wrong in any case."""
    steps: tuple[float, ...]
    loose: frozenset[str]
    problems: tuple[str, ...]
    excused: Mapping[str, float] = field(default_factory=dict)
    """What is off by more than the gate relative to its own largest value, and within what rounding makes of it.

    Its error is relative to that; here is how large the largest value is, in units of what rounding may make of it: no
    more than 1 is zero but for rounding.
    """

    @property
    def wrong(self) -> tuple[str, ...]:
        """What differs by more than its gate."""
        return tuple(
            name
            for name, error in self.errors.items()
            if (error > self.gate_of(name) if self.judged else not isfinite(error))
        )

    @property
    def ok(self) -> bool:
        return not self.wrong and not self.problems

    @property
    def worst(self) -> str:
        """The name of what differs most, as a part of what it may; empty where there is nothing."""
        return max(self.errors, key=lambda name: self.errors[name] / self.gate_of(name), default="")

    def gate_of(self, name: str) -> float:
        return INEXACT_GATE if name in self.loose else STEP_GATE


def relative_error(reference: Array, other: Array) -> float:
    """``max |reference - other| / max |reference|``; infinite where shapes differ or a value is not finite."""
    import numpy

    if reference.shape != other.shape or not (numpy.isfinite(reference).all() and numpy.isfinite(other).all()):
        return inf
    return _ratio(reference, other, _peak(reference))


def _peak(values: Array) -> float:
    import numpy

    return float(numpy.abs(values).max(initial=0.0))


def _ratio(reference: Array, other: Array, peak: float) -> float:
    import numpy

    # In float64: a difference of float32 numbers would be rounded once more.
    difference = float(numpy.abs(numpy.subtract(reference, other, dtype=numpy.float64)).max(initial=0.0))
    if difference == 0:
        return 0.0
    return difference / peak if peak else inf


def observed_error(reference: Observation, other: Observation) -> float:
    """The relative error of a layer's result, from what was kept of it."""
    return _distance(reference, other, max(reference.peak, SMALLEST_PEAK))


def judge(
    graph: Graph,
    setting: Setting,
    batch: int,
    reference: Outcome,
    other: Outcome,
    moved: Mapping[str, float] | None = None,
) -> Verdict:
    """Compare a target's pass with the reference's in float64, and with what the graph promises.

    ``moved`` is what rounding makes of each array, where it was measured (`cnnspec.verify.rounding`).

    The reference itself is judged in the same way, against itself: that finds what is missing, of a wrong shape or no
    number. Layers count for the verdict in float64 only: in float32 the rounding of a layer deep inside may grow large
    and vanish again.
    """
    gate = GATES[setting]
    moved = moved or {}
    problems = list(_broken_promises(graph, setting, batch, other))
    outputs = {
        name: relative_error(values, other.outputs[name])
        for name, values in reference.outputs.items()
        if name in other.outputs
    }
    layers = {node.path: observed_error(*pair) for node, pair in _pairs(graph, reference, other)}
    state = _state_errors(reference, other)
    counted = layers if setting.precision == "float64" else {}
    peaks = {
        **{f"output {name}": _peak(values) for name, values in reference.outputs.items()},
        **{path: max(seen.peak, SMALLEST_PEAK) for path, seen in reference.layers.items()},
        **{key: _peak(values) for key, values in reference.statistics.items()},
    }
    may = ALLOWANCE * ROUNDINGS[setting.precision]
    gates = {name: max(gate, may * how_far / peaks[name]) for name, how_far in moved.items() if peaks.get(name)}
    errors = {**{f"output {name}": error for name, error in outputs.items()}, **state}
    judged = {**counted, **errors}
    wrong = {name for name, error in judged.items() if not error <= gates.get(name, gate)}
    ok = not wrong and not problems
    return Verdict(
        output_error=max(outputs.values(), default=0.0),
        layer_error=max(counted.values(), default=0.0),
        state_error=max(state.values(), default=0.0),
        layers=len(layers),
        problems=tuple(problems),
        ok=ok,
        divergence=None if ok else _divergence(graph, gates, gate, reference, other, outputs, layers, state),
        errors=errors,
        excused={name: gates[name] for name, error in judged.items() if gate < error and name not in wrong},
    )


def judge_size(
    graph: Graph, reference: Outcome | str, other: Outcome | str, moved: Mapping[str, float] | None = None
) -> Verdict:
    """Compare a target's pass at another size with the reference's; a text is what went wrong with one."""
    if isinstance(other, str):
        return Verdict(inf, inf, 0.0, 0, (other,), False)
    if isinstance(reference, str):
        return Verdict(inf, inf, 0.0, 0, ("there is nothing to compare with: the reference fails",), False)
    return judge(graph, Setting("float64", "evaluation"), 1, reference, other, moved)


def judge_slopes(
    graph: Graph,
    setting: Setting,
    reference: Slopes,
    other: Slopes,
    inexact: Collection[str],
    moved: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare a target's gradients with the reference's in float64.

    ``inexact`` are the kinds of layers whose gradient one of them rounds.  ``moved`` is what rounding makes of each
    array, where it was measured.
    """
    moved = moved or {}
    judged = setting.precision == "float64"
    loose = _before(graph, inexact)
    errors: dict[str, float] = {}
    excused: dict[str, float] = {}
    problems: list[str] = []
    for prefix, here, there in (
        ("input ", reference.inputs, other.inputs),
        ("", reference.weights, other.weights),
    ):
        for name, expected in here.items():
            if name not in there:
                problems.append(f"there is no gradient of `{name}`")
                continue
            gate = INEXACT_GATE if prefix + name in loose else STEP_GATE
            rounded = moved.get(f"gradient {prefix}{name}", 0.0)
            may = excusable(rounded, loose=prefix + name in loose)
            if judged:
                error, pardon = _judged(expected, there[name], expected.peak, gate, may)
                if pardon is not None:
                    excused[prefix + name] = pardon
            else:
                # What is zero but for rounding is told relative to the size of the numbers that cancel.
                error = _distance(expected, there[name], rounded / UNIT if may > expected.peak else expected.peak)
            errors[prefix + name] = error
    return Comparison(errors, judged, (), loose, tuple(problems), excused)


def excusable(moved: float, *, loose: bool) -> float:
    """How far a gradient or a trained weight may be off in float64 where one rounding of every value moves it so far.

    ``loose`` is one that meets a constant of float32, which is rounded once.
    """
    return moved * (ROUNDINGS["float32"] if loose else GRADIENT_ALLOWANCE)


def judge_course(
    graph: Graph,
    course: Course,
    reference: Sequence[Mapping[str, Observation]],
    other: Sequence[Mapping[str, Observation]],
    inexact: Collection[str],
    moved: Sequence[Mapping[str, float]] = (),
) -> Comparison:
    """Compare a target's weights and running statistics after each step of training with the reference's.

    In float32 the other has fewer steps.  From the second step on what one layer rounds has gone through all others.
    ``moved`` is what rounding makes of each array after each step, where it was measured.
    """
    judged = course.precision == "float64"
    touched = any(node.layer.kind in inexact for node in graph.layers)
    gate = INEXACT_GATE if touched else STEP_GATE
    errors: dict[str, float] = {}
    excused: dict[str, float] = {}
    steps = []
    missing: dict[str, None] = {}
    for number, (here, there) in enumerate(zip(reference, other, strict=False)):
        rounded = moved[number] if moved and judged else {}
        largest = 0.0
        for key, seen in here.items():
            if key not in there:
                missing[key] = None
                continue
            size = max(seen.peak, SMALLEST_PEAK)
            may = excusable(rounded.get(key, 0.0), loose=touched)
            error, pardon = _judged(seen, there[key], size, gate, may)
            if pardon is not None:
                excused[key] = min(pardon, excused.get(key, inf))
            largest = max(largest, error)
            errors[key] = max(error, errors.get(key, 0.0))
        steps.append(largest)
    return Comparison(
        errors,
        judged,
        tuple(steps),
        frozenset(errors) if touched else frozenset(),
        tuple(f"`{key}` is missing from the state" for key in missing),
        excused,
    )


def _judged(
    reference: Observation, other: Observation, size: float, gate: float, may: float
) -> tuple[float, float | None]:
    """The error of an array relative to its size, or to ``may / gate`` where only that is within the gate.

    ``may`` is how far it may be off whatever its size; where that is what it passes for, ``size / may`` comes with it.
    """
    error = _distance(reference, other, size)
    if error <= gate or may <= gate * size:
        return error, None
    within = _distance(reference, other, may / gate)
    return (within, size / may) if within <= gate else (error, None)


def _before(graph: Graph, kinds: Collection[str]) -> frozenset[str]:
    """What the gradient reaches through a layer of these kinds: keys of weights, and ``input NAME``."""
    values: set[int] = set()
    names: set[str] = set()
    for node in reversed(graph.layers):
        if not values.isdisjoint(node.outputs):
            names.update(node.key(weight) for weight in node.weights)
            values.update(node.inputs)
        elif node.layer.kind in kinds:
            values.update(node.inputs)
    return frozenset(names | {f"input {port.name}" for port in graph.inputs if port.value in values})


def _distance(reference: Observation, other: Observation, scale: float) -> float:
    """The largest difference over ``scale``; infinite where shapes differ or a value is not finite."""
    import numpy

    if reference.shape != other.shape or not (isfinite(reference.peak) and isfinite(other.peak)):
        return inf
    if not (numpy.isfinite(reference.values).all() and numpy.isfinite(other.values).all()):
        return inf
    return _ratio(reference.values, other.values, scale)


def _broken_promises(graph: Graph, setting: Setting, batch: int, outcome: Outcome) -> Iterator[str]:
    import numpy

    ports = [port for port in graph.outputs if setting.mode == "training" or not port.auxiliary]
    for port in ports:
        shape = (batch, *known(graph.shape(port.value)))
        values = outcome.outputs.get(port.name)
        if values is None:
            yield f"there is no output `{port.name}`"
        elif values.shape != shape:
            yield f"the output `{port.name}` is {show(values.shape)} instead of {show(shape)}, the batch first"
        elif not numpy.isfinite(values).all():
            yield f"the output `{port.name}` has values that are infinite or no numbers"
    for name in sorted(outcome.outputs.keys() - {port.name for port in ports}):
        yield f"there is an output `{name}` that the spec does not have"
    for key in outcome.missing:
        yield f"`{key}` is missing from the state"
    for key, values in outcome.statistics.items():
        if values.shape != graph.state[key].shape:
            yield f"`{key}` is {show(values.shape)} instead of {show(graph.state[key].shape)}"
        elif not numpy.isfinite(values).all():
            yield f"`{key}` has values that are infinite or no numbers"


def _pairs(graph: Graph, reference: Outcome, other: Outcome) -> Iterator[tuple[Node, tuple[Observation, Observation]]]:
    """The layers that both targets could show, in order of computation.

    Left out are layers of several results, and those that no input reaches: some targets give them the batch's axis,
    others not.
    """
    reached = {port.value for port in graph.inputs}
    for node in graph.layers:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
            if len(node.outputs) == 1 and node.path in reference.layers and node.path in other.layers:
                yield node, (reference.layers[node.path], other.layers[node.path])


def _state_errors(reference: Outcome, other: Outcome) -> dict[str, float]:
    """What differs in running statistics, and what changed though it must not, in either target."""
    errors = dict(reference.drift)
    for key, error in other.drift.items():
        errors[key] = max(error, errors.get(key, 0.0))
    for key, values in reference.statistics.items():
        if key in other.statistics:
            errors[key] = relative_error(values, other.statistics[key])
    return errors


def _divergence(
    graph: Graph,
    gates: Mapping[str, float],
    usual: float,
    reference: Outcome,
    other: Outcome,
    outputs: Mapping[str, float],
    layers: Mapping[str, float],
    state: Mapping[str, float],
) -> Divergence | None:
    maker = {value: node for node in graph.layers for value in node.outputs}

    def inputs_of(node: Node) -> tuple[Look, ...]:
        """The values it takes, and before those that cannot be seen the values that those take."""
        looks: dict[int, Look] = {}
        waiting = list(node.inputs)
        while waiting:
            value = waiting.pop(0)
            before = maker.get(value)
            if value in looks:
                continue
            if before is None:
                name = next(port.name for port in graph.inputs if port.value == value)
                looks[value] = Look(name, None, 0.0)
            else:
                looks[value] = Look(before.path, before, layers.get(before.path))
                if before.path not in layers:
                    waiting += before.inputs
        return tuple(looks.values())

    for node in graph.layers:
        error = layers.get(node.path, 0.0)
        if error > gates.get(node.path, usual):
            shapes = reference.layers[node.path].shape, other.layers[node.path].shape
            different = shapes if shapes[0] != shapes[1] else None
            return Divergence(node, error, shapes=different, inputs=inputs_of(node))
        for key in map(node.key, node.weights):
            missing = key in other.missing
            if missing or state.get(key, 0.0) > gates.get(key, usual):
                return Divergence(node, state.get(key, inf), key=key, missing=missing, inputs=inputs_of(node))
    for port in graph.outputs:
        if outputs.get(port.name, 0.0) > gates.get(f"output {port.name}", usual) and port.value in maker:
            node = maker[port.value]
            return Divergence(node, outputs[port.name], output=port.name, inputs=inputs_of(node))
    return None
