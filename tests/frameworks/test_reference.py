"""The reference evaluator against PyTorch in float64: every layer's results, statistics and gradients."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import cnnspec
from cnnspec.backend import backends
from cnnspec.codegen.emission import Formula, Place, literal
from cnnspec.diagnostics import Span
from cnnspec.graph import Node
from cnnspec.layers import activation as act
from cnnspec.layers.arithmetic import Divide
from cnnspec.layers.base import Layer
from cnnspec.layers.regularisation import Regularisation
from cnnspec.weights import draw, draw_inputs
from cnnspec_reference.definition import DEFINITIONS, Array, Given
from cnnspec_reference.evaluation import FAMILIES, evaluate, gradients
from cnnspec_torch.helpers import HELPERS
from cnnspec_torch.layers import EMITTERS
from support.layer_examples import EXAMPLES, POSITIVE, Example

assert FAMILIES, "imported, so that the table is complete"

BATCH = 2
NAMES: dict[str, Any] = {}
exec(
    "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n\n" + "\n\n".join(HELPERS.values()),
    NAMES,
)


def emitted(layer: Layer, example: Example) -> tuple[str | None, str | None]:
    """The texts of a layer's PyTorch module and formula; the formula's inputs are ``x[0]``, ``x[1]``, ..."""
    inputs, outputs = example.inputs, layer.shapes(*example.inputs)
    node = Node(
        path="here", layer=layer, inputs=tuple(range(len(inputs))), outputs=(9,), weights=layer.weights(*inputs),
        macs=0, auxiliary=False, operator=False, label="here", named=True, span=Span("test.cnn", 1, 1, 1, 1),
    )  # fmt: skip
    (emission,) = EMITTERS[type(layer)]([Place(node, inputs, outputs)])
    (stage,) = emission.stages
    return stage.module and literal(stage.module), stage.formula and _written(stage.formula, len(inputs))


def _written(formula: Formula, count: int) -> str:
    fields = {str(i): f"x[{i}]" for i in range(count)} | {"all": ", ".join(f"x[{i}]" for i in range(count))}
    fields |= {name: literal(value) for name, value in formula.values.items()}
    return re.sub(r"\{(\w+)\}", lambda match: fields[match.group(1)], formula.pattern)


def near(found: Any, expected: Array, bound: float) -> None:
    values = found.detach().numpy()
    assert values.shape == expected.shape
    error = float(np.abs(values - expected).max(initial=0.0))
    assert error <= bound * max(float(np.abs(expected).max(initial=0.0)), 1e-300), error


def torchs_own_factor(layer: Layer) -> float:
    """What PyTorch's gradient is too large by.

    It multiplies the gradient of the hard sigmoid by a 1/6 that is rounded to float32, whatever the precision: 3e-8 of
    the gradient, 5e-9 where that of the output is 1.
    """
    return 6 * float(np.float32(1 / 6)) if isinstance(layer, act.HardSigmoid) else 1.0


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_layer_agrees_with_torch(example: Example, training: bool) -> None:
    numbers = np.random.default_rng(11)
    inputs = [numbers.normal(0.2, 1.0, (BATCH, *shape)) for shape in example.inputs]
    if isinstance(example.layer, Divide):
        inputs[1] = numbers.uniform(0.5, 2.0, inputs[1].shape)
    weights = {
        weight.name: numbers.uniform(0.5, 2.0, weight.shape) * (weight.name in POSITIVE or numbers.choice([-1, 1]))
        for weight in example.layer.weights(*example.inputs)
    }
    cotangents = tuple(numbers.normal(size=(BATCH, *shape)) for shape in example.outputs)
    result = DEFINITIONS[type(example.layer)](example.layer, Given(tuple(inputs), weights, BATCH, training))
    back = result.pull(cotangents)

    # Masks cannot be compared: what is dropped by chance is not dropped here.
    layer = (
        example.layer.model_copy(update={"rate": 0.0}) if isinstance(example.layer, Regularisation) else example.layer
    )
    texts = emitted(layer, example)
    assert any(texts)
    for text in filter(None, texts):
        tensors = [torch.from_numpy(array).requires_grad_() for array in inputs]
        made = eval(text, NAMES | {"x": tensors})
        state: dict[str, Any] = {}
        if isinstance(made, torch.nn.Parameter):
            made = torch.nn.Parameter(torch.from_numpy(weights[""]))
            state[""] = made
            made = made.expand(BATCH, *made.shape)
        elif isinstance(made, torch.nn.Module):
            made.double().train(training)
            made.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=False)
            state = {name: tensor for name, tensor in made.state_dict(keep_vars=True).items() if name in weights}
            assert state.keys() == weights.keys()
            made = made(*tensors)
        outputs = made if isinstance(made, tuple) else (made,)
        for output, expected in zip(outputs, result.outputs, strict=True):
            near(output, expected, 1e-12)
        for name, expected in result.statistics.items():
            near(state[name], expected, 1e-12)
        torch.autograd.backward(outputs, [torch.from_numpy(cotangent) for cotangent in cotangents])
        for tensor, expected in zip(tensors, back.inputs, strict=True):
            near(tensor.grad, expected * torchs_own_factor(layer), 1e-10)
        for name, expected in back.weights.items():
            near(state[name].grad, expected, 1e-10)


SPEC = """
block Residual(width) {
    input x
    y = x -> conv(width, 3x3, pad = 1, bias = false) -> batch_norm -> gelu -> depthwise_conv(3x3, pad = 1)
    x + y -> relu
}

model Small {
    input image: 3x16x12
    stem: conv(8, 3x3, stride = 2, pad = 1) -> max_pool(3x3, stride = 2, pad = 1)
    one: Residual(8)
    two: Residual(8)
    conv_transpose(6, 3x3, stride = 2, pad = 1, output_pad = 1) -> layer_norm -> hard_swish
    flatten -> fc: dense(5) -> log_softmax
}
"""


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_network_agrees_with_torch(training: bool) -> None:
    graph = cnnspec.loads(SPEC)
    state, inputs = draw(graph, 0), draw_inputs(graph, 3, 0)
    evaluation = evaluate(graph, state, inputs, training)
    (port,) = graph.outputs
    cotangent = np.random.default_rng(5).normal(size=evaluation.values[port.value].shape)
    expected = gradients(graph, state, inputs, {port.name: cotangent}, training)

    backend = backends()["torch"]
    runtime = backend.runtime("torch", "float64")
    model = runtime.build(backend.emit(graph, []), graph).train(training)
    runtime.load(model, graph, state)
    image = torch.from_numpy(inputs["image"]).requires_grad_()
    output = model(image)
    output.backward(torch.from_numpy(cotangent))
    near(output, evaluation.values[port.value], 1e-12)
    near(image.grad, expected.inputs["image"], 1e-10)
    for key, parameter in model.named_parameters():
        near(parameter.grad, expected.state[key], 1e-10)
    for key, values in runtime.state(model, graph).items():
        near(torch.from_numpy(values), evaluation.state[key], 1e-12)
