"""What a user does with generated PyTorch code: compile, export, other precisions, `cnnspec.build`."""

from __future__ import annotations

import copy
import warnings
from functools import cache
from textwrap import dedent
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import cnnspec
from cnnspec import api, loading
from cnnspec.backend import backend
from cnnspec.codegen.emission import Place, literal
from cnnspec.codegen.naming import safe
from cnnspec.diagnostics import Span
from cnnspec.graph import Node
from cnnspec.layers.arrangement import Upsample
from cnnspec.layers.base import Layer
from cnnspec.layers.convolution import Conv, SeparableConv
from cnnspec.layers.pooling import AvgPool, L2Pool, MaxPool
from cnnspec.sizes import resized
from cnnspec.weights import draw, draw_inputs
from cnnspec_torch.emit import CONTAINER_ATTRIBUTES, MODULE_ATTRIBUTES
from cnnspec_torch.helpers import HELPERS
from cnnspec_torch.layers import EMITTERS
from cnnspec_torch.runtime import import_source
from support.layer_examples import EXAMPLES

SPECS = {
    "resnet": ("resnet50", {"image": (3, 64, 64)}),
    "densenet": ("densenet121", {"image": (3, 64, 64)}),
    "mobilenet": ("mobilenet_v2", {"image": (3, 64, 64)}),
    "shufflenet": ("shufflenet_v2_x1_0", {"image": (3, 64, 64)}),
    "convnext": ("convnext_tiny", {"image": (3, 64, 64)}),
    "unet": ("unet", {"image": (1, 32, 32)}),
}
"""Networks with what is hard for a compiler: options, loops over modules, helpers, several inputs of a block."""

OPTIONS = """
    block Unit(width, option = false, depth = 1) {
        input x
        s = scale: parameter([x.channels, 1, 1], init = normal(0, 0.1))
        y = x * s
        if option { y = y -> extra: conv(x.channels, 1x1) } else { y = y -> act: tanh }
        for i in range(depth) { y = y -> c{i}: conv(width, 1x1) -> relu }
        output y
        output z = y -> "odd-name": conv(2, 1x1)
    }
    model M {
        input image: 3x8x8
        a, b = Unit(image, 4)
        c, d = Unit(a, 6, option = true, depth = 4)
        e, f = Unit(c, 6, option = true, depth = 5)
        output e
        output sum = b + d + f
    }
"""


def model_of(name: str, inputs: dict[str, tuple[int, ...]] | None = None) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A generated network in evaluation mode with values in every statistic, and a batch for it."""
    torch.manual_seed(0)
    spec = loading.Spec(dedent(name), "spec.cnn", None, None) if "\n" in name else loading.find(name)
    graph, probes = api.load_for_compiling(spec, inputs=inputs)
    model: nn.Module = getattr(import_source(backend("torch").emit(graph, probes), graph.name), safe(graph.name))()
    for key, buffer in model.named_buffers():
        if key.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return model.eval(), tuple(torch.randn(2, *graph.shape(port.value)) for port in graph.inputs)


def tuples(values: Any) -> tuple[Tensor, ...]:
    return values if isinstance(values, tuple) else (values,)


def equal(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether results agree, relative to the largest value."""
    pairs = zip(tuples(found), tuples(expected), strict=True)
    return all((a.double() - b.double()).abs().max() <= tolerance * b.double().abs().max() for a, b in pairs)


@pytest.mark.parametrize("name", [*SPECS, "options"])
def test_one_graph_for_torch_compile(name: str) -> None:
    """``fullgraph`` fails at the first thing that would have to be left to Python."""
    model, inputs = model_of(*SPECS[name]) if name in SPECS else model_of(OPTIONS)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert equal(compiled(*inputs), model(*inputs), 1e-6)


@pytest.mark.parametrize("name", [*SPECS, "options"])
def test_export(name: str) -> None:
    model, inputs = model_of(*SPECS[name]) if name in SPECS else model_of(OPTIONS)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, inputs, dynamic_shapes=[{0: batch} for _ in inputs])
    assert exported.state_dict.keys() == model.state_dict().keys()
    more = tuple(torch.cat([value, value, value]) for value in inputs)
    with torch.no_grad():
        assert equal(exported.module()(*more), model(*more), 1e-6)


def test_training_with_auxiliary_heads_compiles() -> None:
    spec = """
        model M {
            input image: 3x16x16
            early = image -> stem: conv(8, 3x3) -> bn: batch_norm -> relu
            auxiliary output side = early -> global_avg_pool -> flatten -> side: dense(4)
            output main = early -> conv(8, 3x3) -> global_avg_pool -> flatten -> fc: dense(4)
        }
    """
    model, inputs = model_of(spec)
    model.train()
    expected = copy.deepcopy(model)(*inputs)
    torch.compiler.reset()
    found = torch.compile(model, fullgraph=True, backend="aot_eager")(*inputs)
    assert [value.shape for value in found] == [(2, 4)] * 2
    assert equal(found, expected, 1e-5)


MORE_LAYERS: list[tuple[Layer, tuple[int, ...]]] = [
    (Conv(filters=4, kernel=3, pad=((1, 0),)), (3, 9)),
    (SeparableConv(filters=4, kernel=3, pad=((1, 0),)), (3, 9)),
    (SeparableConv(filters=4, kernel=3, pad=((1, 0), (0, 1), (1, 1))), (3, 9, 8, 7)),
    (MaxPool(kernel=3, stride=2, pad=((1, 0),)), (3, 9)),
    (MaxPool(kernel=3, stride=2, pad=((1, 0), (0, 1), (1, 1))), (3, 9, 8, 7)),
    (AvgPool(kernel=3, stride=2, pad=((1, 0),)), (3, 9)),
    (Conv(filters=4, kernel=3, pad=((1, 0), (0, 1), (1, 1))), (3, 9, 8, 7)),
    (Conv(filters=4, kernel=3, stride=2, pad="same"), (3, 8)),
    (Conv(filters=4, kernel=3, stride=2, pad="same"), (3, 8, 7, 6)),
    (SeparableConv(filters=4, kernel=3, stride=2, pad="same"), (3, 8)),
    (SeparableConv(filters=4, kernel=3, stride=2, pad="same"), (3, 8, 7, 6)),
    (MaxPool(kernel=3, stride=2, pad="same"), (3, 8)),
    (MaxPool(kernel=3, stride=2, pad="same"), (3, 8, 7, 6)),
    (AvgPool(kernel=3, stride=2, pad="same"), (3, 8)),
    (AvgPool(kernel=3, stride=2, pad="same"), (3, 8, 7, 6)),
    (L2Pool(kernel=3, stride=2, pad=1), (3, 9)),
    (L2Pool(kernel=3, stride=2, pad=1), (3, 9, 8, 7)),
    (Upsample(size=(46,), mode="nearest"), (3, 14)),
    (Upsample(scale=41), (4, 2, 3)),
    (SeparableConv(filters=4, kernel=3, pad=1), (3, 9)),
    *(
        (pool(kernel=3, stride=2, pad=((1, 0),) * (len(shape) - 1), ceil_mode=True), shape)
        for pool in (MaxPool, AvgPool, L2Pool)
        for shape in ((3, 8), (3, 8, 8), (3, 8, 8, 8))
    ),
    (L2Pool(kernel=3, stride=2, pad="same"), (3, 8)),
    (L2Pool(kernel=3, stride=2, pad="same"), (3, 8, 8, 8)),
]
"""What the table of examples does not need."""


@cache
def helper_modules() -> dict[str, tuple[nn.Module, Tensor]]:
    """A module of each helper, with an input for it."""
    names: dict[str, Any] = {}
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n\n\n"
    exec(head + "\n\n".join(HELPERS.values()), names)
    found: dict[str, tuple[nn.Module, Tensor]] = {}
    examples = [(example.layer, example.inputs[0]) for example in EXAMPLES if len(example.inputs) == 1]
    for layer, shape in examples + MORE_LAYERS:
        outputs = layer.shapes(shape)
        node = Node(
            path="layer",
            layer=layer,
            inputs=(0,),
            outputs=tuple(range(1, len(outputs) + 1)),
            weights=layer.weights(shape),
            macs=0,
            auxiliary=False,
            operator=False,
            label="layer",
            named=True,
            span=Span("test.cnn", 1, 1, 1, 1),
        )
        (emission,) = EMITTERS[type(layer)]([Place(node, (shape,), outputs)])
        module = emission.stages[-1].module
        if module is not None and module.helper and module.helper not in found:
            found[module.helper] = (eval(literal(module), names), torch.randn(2, *shape))
    return found


@pytest.mark.parametrize("name", [name for name in HELPERS if not name.islower()])
def test_every_helper_compiles_and_exports(name: str) -> None:
    module, value = helper_modules()[name]
    module.eval()
    torch.compiler.reset()
    with torch.no_grad():
        expected = module(value)
        assert equal(torch.compile(module, fullgraph=True, backend="aot_eager")(value), expected, 1e-6)
        assert equal(torch.export.export(module, (value,)).module()(value), expected, 1e-6)
    assert module.double()(value.double()).dtype == torch.float64


@pytest.mark.parametrize("name", SPECS)
def test_other_precisions(name: str) -> None:
    """Nothing in the code has a precision or a device of its own."""
    model, inputs = model_of(*SPECS[name])
    with torch.no_grad():
        single = model(*inputs)
        double = model.double()(*(value.double() for value in inputs))
        assert all(value.dtype == torch.float64 for value in tuples(double))
        assert equal(single, double, 1e-3)
        half = model.bfloat16()(*(value.bfloat16() for value in inputs))
        assert all(value.dtype == torch.bfloat16 for value in tuples(half))
        assert all(value.isfinite().all() for value in tuples(half))
        meta = copy.deepcopy(model).to("meta")(*(value.bfloat16().to("meta") for value in inputs))
        assert [value.shape for value in tuples(meta)] == [value.shape for value in tuples(single)]


def test_build() -> None:
    model = cnnspec.build("lenet5", classes=7)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 7)
    assert type(model).__name__ == "LeNet5"
    assert model.training
    graph = cnnspec.load("resnet18", inputs=(3, 64, 64))
    built = cnnspec.build(graph)
    assert sum(parameter.numel() for parameter in built.parameters()) == graph.params
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert built.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_a_carried_parameter_changes_the_model() -> None:
    graph, probes = api.load_for_compiling(loading.find("resnet18"))
    made = import_source(backend("torch").emit(graph, probes), graph.name).ResNet18(classes=11)
    expected = {key: weight.shape for key, weight in cnnspec.load("resnet18", classes=11).state.items()}
    found = {key: tuple(value.shape) for key, value in made.state_dict().items() if "num_batches" not in key}
    assert found == expected


def test_the_names_that_pytorch_needs_are_all_known() -> None:
    """A layer of such a name would hide it."""
    attributes = {name for name in dir(nn.Module()) if not name.startswith("__")}
    assert attributes <= MODULE_ATTRIBUTES
    containers = {name for name in (*dir(nn.Sequential()), *dir(nn.ModuleDict())) if not name.startswith("__")}
    assert containers - attributes <= CONTAINER_ATTRIBUTES


@pytest.mark.parametrize(
    ("name", "size"), [("keras/efficientnetv2b2", 49), ("keras/mobilenet", 50), ("googlenet", 65), ("resnet18", 33)]
)
def test_code_for_the_default_size_is_right_at_a_small_one(name: str, size: int) -> None:
    graph = cnnspec.load(name)
    (port,) = graph.inputs
    there = resized(graph, {port.name: (3, size, size)})
    outputs = []
    for target in ("reference", "torch"):
        runtime = backend(target).runtime(target, "float64")
        model = runtime.build(backend(target).emit(graph, []), there)
        runtime.load(model, there, draw(there, 0))
        outputs.append(runtime.forward(model, there, draw_inputs(there, 1, 0), training=False).outputs)
    for key, expected in outputs[0].items():
        assert abs(outputs[1][key] - expected).max() <= 1e-10 * abs(expected).max()
