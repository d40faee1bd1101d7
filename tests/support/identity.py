"""Whether the definitions in generated code are the spec's blocks.

``python -m support.identity BACKEND SEED LARGEST [NAME...]`` uses every block of some networks, ``random:7`` among
them, with other valid arguments than those it was compiled with (other draws, too, than the planner's own).  The
definition must take the spec's parameters, with the spec's defaults, and give the weights, shapes and numbers that the
spec's block has with these arguments, at the drawn size and at two others.  Numbers are compared in float64, where a
use has at most LARGEST parameters, and ten times as many multiply-accumulates.  One process has one backend of Keras.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import cnnspec
from cnnspec import loading
from cnnspec.backend import backend
from cnnspec.codegen.emission import Place, literal
from cnnspec.codegen.naming import safe, snake_case
from cnnspec.expand import expand
from cnnspec.expand.application import BlockUse
from cnnspec.expand.drawing import draw_uses, expand_use
from cnnspec.expand.expander import Expander
from cnnspec.expand.values import BlockValue, LayerValue
from cnnspec.fuzz.generate import random_spec
from cnnspec.graph import Branch, Graph, Scope
from cnnspec.syntax import tree
from cnnspec.weights import draw, draw_inputs

NETWORKS = (
    "resnet50",
    "resnet18",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "densenet121",
    "nasnetmobile",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "regnet_x_400mf",
    "googlenet",
    "inception_v3",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "mnasnet1_0",
    "convnext_tiny",
    "vgg16_bn",
    "unet",
    "keras/resnet50",
    "keras/resnet50v2",
    "keras/efficientnetb0",
    "keras/efficientnetv2b0",
    "keras/mobilenet",
    "keras/mobilenetv2",
    "keras/mobilenetv3small",
    "keras/densenet121",
    "keras/inceptionv3",
    "keras/inceptionresnetv2",
    "keras/convnexttiny",
    "xception",
)
"""One network of each file of the zoo that has blocks, and more where siblings use other ones."""
BATCH = 2
MOST_PARAMETERS = 20_000_000
"""Of a use that is built at all."""
CLOSE = 1e-9
"""Relative, in float64."""


@dataclass(slots=True)
class Finding:
    """What came of one block of a network."""

    network: str
    block: str
    uses: int = 0
    numbers: int = 0
    """Comparisons of numbers, one for each use and size."""
    beside: list[str] = field(default_factory=list)
    """Parameters that the spec's block does not have."""
    narrow: bool = False
    """Whether the file says that the definition is right for its uses only, and nothing is compared."""
    not_taken: int = 0
    """Uses with a layer that the definition's annotation rules out."""
    problems: list[str] = field(default_factory=list)


class Different(AssertionError):
    """A definition that is not the block."""


def examine(name: str, target: str, seed: int, largest: int) -> Iterator[Finding]:
    """Every block of a network of the zoo, of the spec at a path, or of a random one that has a block."""
    if name.startswith("random:"):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "random.cnn"
            path.write_text(random_spec(int(name.removeprefix("random:"))))
            for finding in examine(str(path), target, seed, largest):
                finding.network = name
                yield finding
        return
    parsed = loading.parse_all(loading.find(name))
    expander = expand(parsed.files, parsed.sources, model=parsed.model).expander
    assert expander is not None
    draws = draw_uses(expander, parsed.sources, seed)
    language = target.partition("-")[0]
    source = cnnspec.compile(name, language)
    said = re.search(r"^Right for this network's uses only: (.*)$", source, re.MULTILINE)
    narrow = set(said[1].split(", ")) if said else set()
    namespace: dict[str, Any] = {"__name__": f"generated_{re.sub('[^a-z0-9]', '_', name)}"}
    exec(compile(source, name, "exec"), namespace)
    bench = (_Torch if language == "torch" else _Keras)(namespace, target, expander, parsed.sources, largest)
    findings: dict[str, Finding] = {}
    for graph, use in zip(draws.graphs, draws.uses, strict=True):
        finding = findings.setdefault(graph.name, Finding(name, graph.name))
        finding.uses += 1
        finding.narrow = bench.name(graph.name) in narrow
        if finding.narrow:
            continue
        try:
            bench.hold(graph, use, finding)
        except NotTaken:
            finding.not_taken += 1
        except Exception as problem:
            finding.problems.append(f"{_shown(use)}: {type(problem).__name__}: {str(problem)[:300]}")
    yield from findings.values()


def _shown(use: BlockUse) -> str:
    given = ", ".join(f"{name}={_short(one.value)}" for name, one in use.what.arguments.items())
    return f"{use.what.definition.name.text}({given}) on {use.shapes}"


def _short(value: Any) -> str:
    return value.layer.kind if isinstance(value, LayerValue) else repr(value)


class NotTaken(Exception):
    """A layer that needs to know its channels, for a definition whose annotation says that it tells none."""


class _Bench:
    """Uses definitions of one file."""

    def __init__(
        self, namespace: dict[str, Any], target: str, expander: Expander, sources: dict[str, str], largest: int
    ) -> None:
        self.namespace = namespace
        self.expander = expander
        self.sources = sources
        self.largest = largest
        self.language = backend(target.partition("-")[0])
        self.runtime = self.language.runtime(target, "float64")
        self.begin()
        self.definition = backend("reference").runtime("reference", "float64")

    def hold(self, graph: Graph, use: BlockUse, finding: Finding) -> None:
        made = self.namespace.get(self.name(graph.name))
        if made is None:
            raise Different("there is no such definition")
        signature = inspect.signature(made)
        self.check_signature(signature, use.what.definition, finding)
        if graph.params > MOST_PARAMETERS:
            return
        arguments = {
            name: self.value(given.value, str(signature.parameters[safe(name)].annotation), graph)
            for name, given in use.what.arguments.items()
        }
        computed = self.computed(signature, graph, use)
        arguments = {safe(name): value for name, value in arguments.items()} | computed
        model = self.build(made, arguments, graph)
        state = draw(graph, 1)
        self.runtime.load(model, graph, state)
        self.compare(model, graph, state, finding)
        for other in self.other_sizes(graph, use):
            if self.computed(signature, other, use) != computed:
                continue  # of maps of this size the spec asks for another argument
            self.compare(self.resized(made, arguments, model, other), other, state, finding)

    def check_signature(self, signature: inspect.Signature, definition: tree.Definition, finding: Finding) -> None:
        """The spec's parameters in its order with its defaults; more are noted."""
        names = [safe(parameter.name.text) for parameter in definition.parameters]
        defaults = {safe(parameter.name.text): parameter.default for parameter in definition.parameters}
        found = [name for name in signature.parameters if name in names]
        missing = [name for name in names if name not in found]
        if missing:
            raise Different(f"it does not take {', '.join(missing)}")
        # Python wants those without a default first.
        if [n for n in found if defaults[n] is None] != [n for n in names if defaults[n] is None]:
            raise Different(f"its parameters have another order: {', '.join(found)}")
        if [n for n in found if defaults[n] is not None] != [n for n in names if defaults[n] is not None]:
            raise Different(f"its parameters have another order: {', '.join(found)}")
        for name, default in defaults.items():
            given = signature.parameters[name].default
            if (default is None) != (given is inspect.Parameter.empty):
                raise Different(f"`{name}` has {'a' if default is None else 'no'} default")
            if isinstance(default, tree.Number | tree.Boolean | tree.String) and given != default.value:
                raise Different(f"`{name}` is {given} by default, not {default.value}")
        extra = [name for name in signature.parameters if name not in names and not self.expected(name)]
        finding.beside = sorted({*finding.beside, *extra})

    def computed(self, signature: inspect.Signature, graph: Graph, use: BlockUse) -> dict[str, bool]:
        """What the definition takes besides, where that can be told: the one condition of the block, as it came out."""
        names = {safe(parameter.name.text) for parameter in use.what.definition.parameters}
        extra = [name for name in signature.parameters if name not in names and not self.expected(name)]
        if not extra:
            return {}
        (scope,) = graph.root.body
        tests = [item for item in scope.body if isinstance(item, Branch)] if isinstance(scope, Scope) else []
        if len(extra) > 1 or len(tests) != 1 or "bool" not in str(signature.parameters[extra[0]].annotation):
            raise Different(f"it takes {', '.join(extra)} besides")
        return {extra[0]: tests[0].taken == 0}

    def value(self, value: Any, annotation: str, graph: Graph) -> Any:
        """A value of the language as an argument of generated code."""
        if isinstance(value, LayerValue):
            return self.layer(value, annotation, graph)
        if isinstance(value, BlockValue):
            return self.namespace[self.name(value.definition.name.text)]
        if isinstance(value, list | tuple):
            return tuple(self.value(item, annotation, graph) for item in value)
        return value

    def layer(self, value: LayerValue, annotation: str, graph: Graph) -> Callable[..., Any]:
        """What makes a layer, or is it: by what its emitter says of it at two numbers of channels."""
        layer = self.expander.build(value, value.span)
        node = graph.layers[0].model_copy(update={"layer": layer, "inputs": (0,), "outputs": (0,)})
        rank = len(graph.values[graph.inputs[0].value])
        narrow, wide = (self.emitted(Place(node, (s,), (s,))) for s in ((c, *[8] * (rank - 1)) for c in (4, 8)))
        names = {**self.namespace, **self.helpers()}
        if "[[Tensor]" in annotation:
            formula = narrow.formula
            text = re.sub(
                r"\{(\w+)\}", lambda m: "x" if m[1] == "0" else literal(formula.values[m[1]]), formula.pattern
            )
            return eval(f"lambda x: {text}", names)
        fixed = tuple(a for a, b in zip(narrow.module.arguments, wide.module.arguments, strict=True) if a == b)
        made = eval(narrow.module.callee, names)
        given = [eval(literal(a.value), names) for a in fixed if a.name is None]
        named = {a.name: eval(literal(a.value), names) for a in fixed if a.name is not None}
        make = partial(made, *given, **named)
        needs_channels = len(fixed) < len(narrow.module.arguments)
        if "[[]" in annotation and needs_channels:
            raise NotTaken(value.layer.kind)
        if "[[int]" in annotation and not needs_channels:
            return lambda channels: make()
        return make

    def other_sizes(self, graph: Graph, use: BlockUse) -> Iterator[Graph]:
        """The same use on maps of two other sizes, where the spec allows them and the weights stay."""
        for change in (lambda n: n + 3, lambda n: 2 * n + 1):
            shapes = tuple((*shape[:1], *(change(n) for n in shape[1:])) for shape in use.shapes)
            found = expand_use(self.expander.definitions, BlockUse(use.what, shapes), self.sources)
            if found is None:
                continue
            other = found[0]
            weights = {key: weight.shape for key, weight in graph.state.items()}
            if {key: weight.shape for key, weight in other.state.items()} == weights:
                yield other

    def compare(self, model: Any, graph: Graph, state: Mapping[str, Any], finding: Finding) -> None:
        if graph.params > self.largest or graph.macs > 10 * self.largest:
            return
        inputs = draw_inputs(graph, BATCH, 1)
        truth = self.definition.build("", graph)
        self.definition.load(truth, graph, state)
        expected = self.definition.forward(truth, graph, inputs, training=False).outputs
        found = self.runtime.forward(model, graph, inputs, training=False).outputs
        for name, array in expected.items():
            if found[name].shape != array.shape:
                raise Different(f"the result is {found[name].shape[1:]}, not {array.shape[1:]}")
            error = float(np.abs(found[name] - array).max() / max(np.abs(array).max(), 1e-30))
            if not error <= CLOSE:
                raise Different(f"numbers are off by {error:.1e} on {graph.values[graph.inputs[0].value]}")
        finding.numbers += 1

    # What a language adds.

    def begin(self) -> None:
        """Make what is built from now on compute in float64."""

    def name(self, block: str) -> str:
        raise NotImplementedError

    def expected(self, parameter: str) -> bool:
        raise NotImplementedError

    def helpers(self) -> dict[str, Any]:
        raise NotImplementedError

    def emitted(self, place: Place) -> Any:
        raise NotImplementedError

    def build(self, made: Any, arguments: Mapping[str, Any], graph: Graph) -> Any:
        raise NotImplementedError

    def resized(self, made: Any, arguments: Mapping[str, Any], model: Any, graph: Graph) -> Any:
        raise NotImplementedError


class _Torch(_Bench):
    def name(self, block: str) -> str:
        return safe(block)

    def expected(self, parameter: str) -> bool:
        return parameter == "in_channels" or parameter.endswith("_channels")

    def helpers(self) -> dict[str, Any]:
        import torch
        from torch import nn

        return {"torch": torch, "F": nn.functional, "nn": nn}

    def emitted(self, place: Place) -> Any:
        from cnnspec_torch.layers import EMITTERS

        return EMITTERS[type(place.node.layer)]([place])[0].stages[0]

    def build(self, made: Any, arguments: Mapping[str, Any], graph: Graph) -> Any:
        from torch import nn

        class Alone(nn.Module):
            def __init__(self, block: nn.Module) -> None:
                super().__init__()
                self.block = block

            def forward(self, *values: Any) -> Any:
                return self.block(*values)

        ports = {port.name: graph.values[port.value][0] for port in graph.inputs}
        channels = {
            name: next(iter(ports.values())) if name == "in_channels" else ports[name.removesuffix("_channels")]
            for name in inspect.signature(made).parameters
            if self.expected(name) and name not in arguments
        }
        return Alone(made(**channels, **arguments)).double()

    def resized(self, made: Any, arguments: Mapping[str, Any], model: Any, graph: Graph) -> Any:
        return model


class _Keras(_Bench):
    def name(self, block: str) -> str:
        return snake_case(block)

    def expected(self, parameter: str) -> bool:
        return parameter == "name" or parameter in self.inputs

    inputs: frozenset[str] = frozenset()

    def begin(self) -> None:
        import keras

        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")

    def hold(self, graph: Graph, use: BlockUse, finding: Finding) -> None:
        made = self.namespace.get(self.name(graph.name))
        count = len(graph.inputs)
        self.inputs = frozenset(list(inspect.signature(made).parameters)[:count]) if made is not None else frozenset()
        super().hold(graph, use, finding)

    def helpers(self) -> dict[str, Any]:
        import keras

        from cnnspec_keras.helpers import HELPERS

        names: dict[str, Any] = {"keras": keras, "layers": keras.layers, "ops": keras.ops}
        for name, text in HELPERS.items():
            if name not in self.namespace:
                exec(text.replace("@keras.saving", "#"), names)
        return {name: value for name, value in names.items() if name not in self.namespace}

    def emitted(self, place: Place) -> Any:
        from cnnspec_keras.layers import EMITTERS

        return EMITTERS[type(place.node.layer)]([place])[0].stages[0]

    def build(self, made: Any, arguments: Mapping[str, Any], graph: Graph) -> Any:
        import keras

        inputs = [
            keras.Input((*graph.values[port.value][1:], graph.values[port.value][0]), name=f"given_{port.name}")
            for port in graph.inputs
        ]
        results = made(*inputs, **arguments, name="block")
        return keras.Model(inputs, list(results) if isinstance(results, tuple) else results)

    def resized(self, made: Any, arguments: Mapping[str, Any], model: Any, graph: Graph) -> Any:
        other = self.build(made, arguments, graph)
        self.runtime.load(other, graph, draw(graph, 1))
        return other


if __name__ == "__main__":
    target, seed, largest, *names = sys.argv[1:]
    for name in names or NETWORKS:
        for finding in examine(name, target, int(seed), int(largest)):
            sys.stdout.write(json.dumps(asdict(finding)) + "\n")
