"""The Python API: load a spec, compile it, build the living model."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnspec import loading
from cnnspec.diagnostics import Diagnostic, SpecError
from cnnspec.expand import Expansion, expand, stands_alone
from cnnspec.facts.expectations import failed_claims
from cnnspec.graph import Graph
from cnnspec.shapes import Shape, show


@dataclass(slots=True)
class Checked:
    """A model that was checked: its graph where it has one, every diagnostic, and the sources to show them in."""

    graph: Graph | None
    diagnostics: list[Diagnostic]
    sources: dict[str, str]

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self.diagnostics)


class UnnamedShape(ValueError):
    """A shape without a name, for a model with several inputs that are declared with different shapes."""

    def __init__(self, shape: Shape, declared: Mapping[str, Shape]) -> None:
        self.shape = shape
        self.likely = min(declared, key=lambda name: abs(len(declared[name]) - len(shape)))
        """The first input with the most similar number of axes."""
        inputs = ", ".join(f"`{name}: {show(one)}`" for name, one in declared.items())
        self.what = f"{show(shape)} does not say which input it is for, of {inputs}"
        super().__init__(f'{self.what}: write `inputs={{"{self.likely}": ...}}`')


def check(
    parsed: loading.Parsed,
    *,
    model: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Checked:
    """Expand a model of a parsed spec and check its claims.

    Claims are about the spec as it is written: with other parameters or inputs they are not checked.  The shape of the
    name "" is for every input without a shape of its own; raises `UnnamedShape` where those are declared with different
    shapes.
    """

    def expanded(inputs: Mapping[str, Shape] | None) -> Expansion:
        return expand(parsed.files, parsed.sources, model=model or parsed.model, parameters=parameters, inputs=inputs)

    expansion = expanded(inputs)
    if inputs and "" in inputs:
        own = {name: shape for name, shape in inputs.items() if name}
        if len(_declared(expansion, own)) > 1:
            declared = _declared(expanded(own), own)
            if any(shape != next(iter(declared.values())) for shape in declared.values()):
                raise UnnamedShape(inputs[""], declared)
    diagnostics = expansion.diagnostics
    if expansion.graph is not None and expansion.expander is not None and not parameters and not inputs:
        diagnostics = diagnostics + failed_claims(expansion.graph, expansion.claims, expansion.expander)
    return Checked(expansion.graph, diagnostics, parsed.sources)


def _declared(expansion: Expansion, besides: Container[str]) -> dict[str, Shape]:
    """The shapes of a model's inputs but those, as far as its expansion came."""
    if expansion.expander is None:
        return {}
    values, ports = expansion.expander.values, expansion.expander.model_inputs
    return {port.name: values[port.value] for port in ports if port.name not in besides}


def load(
    spec: str | Path, model: str | None = None, *, inputs: Mapping[str, Shape] | Shape | None = None, **parameters: Any
) -> Graph:
    """The graph of a spec: a path, or the name of a shipped network.

    ``inputs`` replaces input shapes (channels first, no batch): one shape, or shapes by input name.  One shape is for
    one input, or for several that are declared with equal shapes.  Other keywords are the model's parameters, as in
    ``load("resnet50", classes=10)``.  Raises `SpecError` with every diagnostic where the spec does not hold, TypeError
    for a parameter that is no value of the language, and ValueError where ``inputs`` must have names.
    """
    return load_text(loading.find(spec), model, inputs=inputs, **parameters)


def loads(
    text: str, model: str | None = None, *, inputs: Mapping[str, Shape] | Shape | None = None, **parameters: Any
) -> Graph:
    """The graph of a spec given as text."""
    return load_text(loading.Spec(text, "<string>", None, None), model, inputs=inputs, **parameters)


def load_text(
    spec: loading.Spec,
    model: str | None = None,
    *,
    inputs: Mapping[str, Shape] | Shape | None = None,
    **parameters: Any,
) -> Graph:
    """The graph of a spec that was read; see `load`."""
    checked = check(loading.parse_all(spec), model=model, parameters=parameters, inputs=_by_name(inputs))
    if checked.graph is None or checked.failed:
        raise SpecError([d for d in checked.diagnostics if d.severity == "error"], checked.sources)
    return checked.graph


def _by_name(inputs: Mapping[str, Shape] | Shape | None) -> Mapping[str, Shape] | None:
    return inputs if inputs is None or isinstance(inputs, Mapping) else {"": tuple(inputs)}


def load_for_compiling(
    spec: loading.Spec,
    *,
    model: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> tuple[Graph, list[Graph]]:
    """A graph and its probes: expansions with other values of each numeric parameter, one at a time.

    What follows a parameter in every probe becomes an argument of the generated code.  Raises `SpecError`.
    """
    return _with_probes(loading.parse_all(spec), model, parameters, inputs)


def load_all_for_compiling(
    spec: loading.Spec, *, inputs: Mapping[str, Shape] | None = None
) -> list[tuple[Graph, list[Graph]]]:
    """Every model of a file that needs no arguments, in the file's order, each with its probes.

    Raises `SpecError`: for the first model with a mistake, or where there is no such model.
    """
    parsed = loading.parse_all(spec)
    names: list[str | None] = [
        definition.name.text
        for definition in parsed.files[0].definitions
        if definition.keyword == "model" and stands_alone(definition)
    ]
    return [_with_probes(parsed, name, None, inputs) for name in names or [None]]


def _with_probes(
    parsed: loading.Parsed,
    model: str | None,
    parameters: Mapping[str, Any] | None,
    inputs: Mapping[str, Shape] | None,
) -> tuple[Graph, list[Graph]]:
    checked = check(parsed, model=model, parameters=parameters, inputs=inputs)
    if checked.graph is None or checked.failed:
        raise SpecError([d for d in checked.diagnostics if d.severity == "error"], checked.sources)
    if inputs and "" in inputs:  # with other parameters, inputs may be declared with different shapes
        inputs = {port.name: checked.graph.shape(port.value) for port in checked.graph.inputs}
    probes = []
    for name, value in checked.graph.parameters.items():
        found: list[Graph] = []
        for other in _other_values(value):
            # Extremes show a rule that is another one there, such as a lower bound; not where they add layers.
            if other in _extremes(value) and any(len(one.layers) != len(checked.graph.layers) for one in found):
                continue
            one = check(parsed, model=model, parameters={**(parameters or {}), name: other}, inputs=inputs)
            if one.graph is not None and not one.failed:
                found.append(one.graph)
        probes += found
    return checked.graph, probes


def _other_values(value: Any) -> list[Any]:
    """Values far enough apart that a rule which fits them all is the rule."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return []
    if isinstance(value, int):
        return [value + 1, 3 * value + 8, *_extremes(value)]
    return [value / 2, value / 3, value / 7]


def _extremes(value: Any) -> list[Any]:
    return [1, 999 * value + 1000] if isinstance(value, int) else []


def compile(
    spec: str | Path | Graph,
    backend: str = "torch",
    *,
    model: str | None = None,
    inputs: Mapping[str, Shape] | Shape | None = None,
    exact_training: bool = False,
    **parameters: Any,
) -> str:
    """The source of a network for a backend.

    ``spec`` is a path, the name of a shipped network, or a `Graph`.  Of a graph alone, every number is written out;
    from a spec, the model's parameters stay arguments where the target can carry them.  ``exact_training`` writes
    layers of the file's own where those of the framework train otherwise than the spec says: Keras's running variance.
    ``inputs`` and the parameters are those of `load`.  Raises what `load` does, and LookupError for an unknown backend.
    """
    from cnnspec.backend import emitter as find_emitter

    emitter = find_emitter(backend)
    if exact_training:
        emitter = emitter.exact_training()
    if isinstance(spec, Graph):
        return emitter.emit(spec, [])
    graph, probes = load_for_compiling(loading.find(spec), model=model, inputs=_by_name(inputs), parameters=parameters)
    return emitter.emit(graph, probes)


def compile_all(
    spec: str | Path,
    backend: str = "torch",
    *,
    inputs: Mapping[str, Shape] | Shape | None = None,
    exact_training: bool = False,
) -> str:
    """The source of all models of a file in one module: their blocks once, and for each model what makes it.

    Models that need arguments are there for others to derive from.  The arguments are those of `compile`, which tells
    what is raised; LookupError as well for a backend that writes one model at a time.
    """
    from cnnspec.backend import emitter as find_emitter

    emitter = find_emitter(backend)
    if exact_training:
        emitter = emitter.exact_training()
    return emitter.emit_family(load_all_for_compiling(loading.find(spec), inputs=_by_name(inputs)))


def build(
    spec: str | Path | Graph,
    backend: str = "torch",
    *,
    target: str | None = None,
    model: str | None = None,
    inputs: Mapping[str, Shape] | Shape | None = None,
    exact_training: bool = False,
    **parameters: Any,
) -> Any:
    """The living model of a network, in float32 on its initial weights; see `compile` for the arguments.

    ``target`` chooses what Keras runs on (``keras-jax``).  Raises ImportError where the framework is missing.
    """
    from cnnspec.backend import emitter as find_emitter

    emitter = find_emitter(backend)
    if exact_training:
        emitter = emitter.exact_training()
    where = target or emitter.targets[0]
    graph: Graph
    probes: list[Graph] = []
    if isinstance(spec, Graph):
        graph = spec
    else:
        graph, probes = load_for_compiling(
            loading.find(spec), model=model, inputs=_by_name(inputs), parameters=parameters
        )
    gap = emitter.missing(where)
    if gap is not None:
        raise ImportError(gap)
    return emitter.runtime(where, "float32").build(emitter.emit(graph, probes), graph)
