"""Generated code: what the planner finds in a spec, and that the code computes the graph and nothing else.

No framework runs here.  `support.recording` runs the code on stand-ins and holds it to the layers, one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from textwrap import dedent

import pytest

from cnnspec import api, loading
from cnnspec.codegen.emission import readable
from cnnspec.codegen.replay import Deviation
from cnnspec.diagnostics import SpecError
from cnnspec.graph import Graph
from support.emitted import SOURCES, for_compiling
from support.random_specs import RandomSpec
from support.recording import check

BACKENDS = ("torch", "keras")

# One representative of each family; the others differ in numbers, which the tests of the frameworks run.
ZOO = [
    "alexnet",
    "conv520",
    "convnext_tiny",
    "dense23550",
    "densenet121",
    "dqn",
    "efficientnet_b0",
    "fcn",
    "googlenet",
    "inception_v3",
    "lenet5",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "nielsen6",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
    "sigmoid_mlp",
    "squeezenet1_1",
    "tanh_convnet",
    "unet",
    "vgg11_bn",
]


def loaded(text: str) -> tuple[Graph, list[Graph]]:
    return api.load_for_compiling(loading.Spec(dedent(text), "spec.cnn", None, None))


def code(text: str, backend: str, **others: int) -> str:
    """The code of a spec, checked; with each of ``others`` for its parameter too."""
    graph, probes = loaded(text)
    return check(backend, graph, probes, [api.loads(dedent(text), **{name: value}) for name, value in others.items()])


def refused(text: str, backend: str) -> str:
    graph, probes = loaded(text)
    with pytest.raises(SpecError) as caught:
        check(backend, graph, probes)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "unsupported"
    assert diagnostic.span.line > 0
    return f"{diagnostic.span.line}: {diagnostic.message}"


# ---- the whole zoo, and random specs -------------------------------------------------------------------------------
# Backends follow each other in the order of the tests, and share what is loaded: the lowest decorator varies fastest.


@lru_cache(maxsize=1)
def of_the_zoo(name: str) -> tuple[Graph, list[Graph], list[Graph]]:
    """A network, its probes, and the same with another value for a parameter."""
    graph, probes = for_compiling(name)
    sizes = [parameter for parameter in ("classes", "actions") if parameter in graph.parameters]
    return graph, probes, [api.load(name, **{parameter: 7}) for parameter in sizes]


@lru_cache(maxsize=1)
def at_random(seed: int) -> tuple[Graph, list[Graph], list[Graph]]:
    text = RandomSpec(seed).text()
    return *loaded(text), [api.loads(text, classes=9), api.loads(text, width=10)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ZOO)
def test_zoo_computes_its_graph(name: str, backend: str) -> None:
    graph, probes, others = of_the_zoo(name)
    source = SOURCES[name, backend] = check(backend, graph, probes, others)
    assert not others or "= 1000" in source or "classes: int = " in source or "actions: int = 18" in source


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(30))
def test_random_specs_compute_their_graphs(seed: int, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Many of these have weights that nothing reads: refused for Keras, but planned and printed well enough.
    monkeypatch.setattr("cnnspec_keras.emit._check_results", lambda graph: None)
    try:
        graph, probes, others = at_random(seed)
    except SpecError as error:
        assert {diagnostic.code for diagnostic in error.diagnostics} == {"duplicate-name"}  # noqa: PT017
        return
    check(backend, graph, probes, others)


# ---- the check can fail --------------------------------------------------------------------------------------------

DAMAGE = {
    "torch": [
        ("stride=stride", "stride=1"),
        ("padding=1", "padding=0"),
        ("BatchNorm2d(width, eps=1e-5", "BatchNorm2d(width, eps=1e-4"),
        ("self.conv2 =", "self.conv3 ="),
        ("return F.relu(x + y, inplace=True)", "return F.relu(y + x, inplace=True)"),
        ("return F.relu(x + y, inplace=True)", "return x + y"),
        ("x = self.downsample(x)", "y = self.downsample(x)"),
        ("self.layer2(x)", "self.layer1(x)"),
        ("BasicBlock(128, 128)", "BasicBlock(128, 128, stride=1), BasicBlock(128, 128)"),
        ("nn.Linear(512, classes)", "nn.Linear(512, 1000)"),
        ("nn.init.zeros_", "nn.init.ones_"),
        ("torch.flatten(x, 1)", "torch.flatten(x, 2)"),
        ("if self.downsample is not None", "if self.downsample is None"),
        ("        x = self.max_pool_1(x)", "        x = self.max_pool_1(x)\n        F.relu(x)"),
    ],
    "keras": [
        ("strides=stride", "strides=1"),
        ("epsilon=1e-5", "epsilon=1e-4"),
        ('name=f"{name}_conv1"', 'name=f"{name}_conv3"'),
        ("[x, y]", "[y, x]"),
        ("if stride != 1", "if stride == 1"),
        ("layer2_0", "layer2_1"),
        ("layers.Dense(classes", "layers.Dense(1000"),
        ("return keras.Model(image, x", "return keras.Model(x, x"),
        ('layers.ZeroPadding2D(1, name="max_pool', 'InfinityPadding2D(1, name="max_pool'),
        ("    return layers.ReLU(", '    layers.ReLU(name=f"{name}_more")(x)\n    return layers.ReLU('),
    ],
}


@pytest.mark.parametrize(("backend", "before", "after"), [(b, *pair) for b in BACKENDS for pair in DAMAGE[b]])
def test_damaged_code_is_noticed(backend: str, before: str, after: str) -> None:
    graph, probes = api.load_for_compiling(loading.find("resnet18"))

    def damage(source: str) -> str:
        assert before in source
        return source.replace(before, after)

    with pytest.raises((Deviation, AttributeError, TypeError, KeyError, UnboundLocalError)):
        check(backend, graph, probes, change=damage)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('2.0, "fan_avg"', '1.0, "fan_avg"'),
        ("(self.parameter_1, std=0.5)", "(self.parameter_1)"),
        ("nn.init.normal_(self.parameter_1, std=0.5)", "pass"),
        ("nn.init.normal_(module.weight, std=0.5)", "pass"),
        ('nn.init.constant_(self.get_parameter("prelu_1.weight"), 0.25)', "pass"),
    ],
)
def test_damaged_starts_are_noticed(before: str, after: str) -> None:
    text = """
        model Net {
            input x: 3x8x8
            gain = parameter(8x1x1, init = normal(std = 0.5))
            y = x -> conv(8, 3x3, init = variance_scaling(2.0, fan = avg)) -> prelu
            y * gain -> slope: prelu(init = normal(std = 0.5))
        }
    """
    graph, probes = loaded(text)
    source = check("torch", graph, probes)
    assert before in source
    with pytest.raises(Deviation, match="starts with"):
        check("torch", graph, probes, change=lambda source: source.replace(before, after))


# ---- what differs between uses -------------------------------------------------------------------------------------

ARGUMENTS = """
    block B(width, many, kernel = 3x3, rate = 0.5) {
        half = width // 2
        input x
        conv(half, kernel, pad = same) -> conv(width * 3, 1x1) -> conv(width * many, 1x1)
        conv(7, 1x1) -> dropout(rate) -> conv(x.channels + many, 1x1)
    }
    model M(classes = 10) {
        input image: 3x32x32
        a: B(8, 2)
        b: B(16, 5, kernel = 5x5, rate = 0.25)
        c: B(32, 3)
        global_avg_pool -> flatten -> dense(classes)
    }
"""


def test_arguments_are_found() -> None:
    torch = code(ARGUMENTS, "torch", classes=3)
    for text in (
        "half = width // 2",  # a name of the spec
        "nn.Conv2d(in_channels, half, kernel, padding",  # parameters
        "nn.Conv2d(half, width * 3, 1)",  # an expression
        "width * many",  # a product of two
        "nn.Conv2d(width * many, 7, 1)",  # a number
        "nn.Dropout(rate)",
        "nn.Linear(13, classes)",
        "kernel: int | tuple[int, int] = 3",  # the defaults
        "nn.Conv2d(7, in_channels + many, 1)",  # the channels of an input
        "self.a = B(3, 8, 2)",
    ):
        assert text in torch
    keras = code(ARGUMENTS, "keras", classes=3)
    assert "half = width // 2" in keras
    assert 'x = b(image, 8, 2, name="a")' in keras
    assert "in_channels = image.shape[-1]" in keras or "in_channels = x.shape[-1]" in keras  # read from the value


def test_sizes_with_an_axis_each() -> None:
    spec = """
        block B(kernel, filters) { conv(filters, kernel, pad = same) }
        model M {
            input image: 3x32x32
            a: B(3x3, 4) -> b: B(1x3, 4) -> c: B(5x1, 8)
        }
    """
    for backend in BACKENDS:
        assert "kernel: int | tuple[int, int]" in code(spec, backend)


def test_types_that_differ_are_a_union() -> None:
    spec = """
        block B(kernel, pad) { conv(4, kernel, pad = pad) }
        model M {
            input image: 3x32x32
            a: B(3, same) -> b: B(3, 1) -> c: B(3x5, 1x2) -> d: B(5, valid)
        }
    """
    for backend in BACKENDS:
        assert "Any" not in code(spec, backend)


def test_a_rebound_parameter_is_not_the_parameter() -> None:
    spec = """
        block B(width) {
            before = width
            width = width * 2
            a: conv(width, 1x1) -> b: conv(before, 1x1) -> c: conv(before + width, 1x1)
        }
        model M {
            input image: 3x16x16
            a: B(4) -> b: B(5) -> c: B(7)
        }
    """
    for backend in BACKENDS:
        code(spec, backend)


def test_values_in_the_forward_pass() -> None:
    """A function of `forward` that needs an argument becomes a module, or finds it in an attribute."""
    spec = """
        block B(slope, first, count) {
            conv(8, 1x1) -> leaky_relu(slope)
            for i in range(count) { conv{first + i}: conv(8, 1x1) }
            z{first * 2}: conv(4, 1x1)
        }
        model M {
            input image: 3x16x16
            a: B(0.1, 0, 4) -> b: B(0.2, 3, 5) -> c: B(0.3, 7, 6)
        }
    """
    torch = code(spec, "torch")
    assert "self.leaky_relu_1 = nn.LeakyReLU(slope)" in torch
    assert 'self.add_module(f"conv{first + i}"' in torch
    assert 'getattr(self, f"conv{self.first + i}")' in torch
    assert 'name=f"{name}_conv{first + i}"' in code(spec, "keras")


# ---- specs in other people's habits --------------------------------------------------------------------------------

CASES = sorted((Path(__file__).parents[1] / "data" / "code").glob("*.cnn"))
UNSAID = {("renames", "keras"): "nothing reads its result"}
"""What a target refuses, and why."""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_specs_of_other_habits(path: Path, backend: str) -> None:
    if (path.stem, backend) in UNSAID:
        assert UNSAID[path.stem, backend] in refused(path.read_text(encoding="utf-8"), backend)
    else:
        code(path.read_text(encoding="utf-8"), backend)


def test_a_layer_in_each_of_two_bodies() -> None:
    text = (CASES[0].parent / "lost_layer.cnn").read_text(encoding="utf-8")
    assert api.loads(text).params == 24 + 42
    assert code(text, "torch").count("nn.Conv2d(") == 2


def test_what_search_alone_explains_is_said() -> None:
    text = (CASES[0].parent / "unetloop.cnn").read_text(encoding="utf-8")
    torch = code(text, "torch")
    assert "Right for this network's uses only: UNet" in torch
    assert "Right for the uses in this file" in torch


# ---- choices -------------------------------------------------------------------------------------------------------

CHOICES = """
    block B(width, on = false, style = 0) {
        input x
        if on { x = x -> extra: conv(width, 1x1) }
        y = x -> main: conv(width, 3x3, pad = 1)
        if style == 1 { y -> relu } else if style == 2 { y -> act: tanh } else { y -> sigmoid }
    }
    model M {
        input image: 3x32x32
        a: B(8) -> b: B(8, on = true) -> c: B(8, on = true, style = 1) -> d: B(8, style = 2)
    }
"""


def test_choices() -> None:
    torch = code(CHOICES, "torch")
    assert "self.extra: nn.Conv2d | None = None" in torch
    assert "if self.extra is not None:\n            x = self.extra(x)" in torch
    assert "if self.style == 1:\n            y = F.relu(y, inplace=True)" in torch
    assert "elif self.style == 2:\n            y = self.act(y)" in torch
    assert "on: bool = False, style: int = 0" in torch
    keras = code(CHOICES, "keras")
    assert "if on:\n        x = layers.Conv2D" in keras
    assert "elif style == 2:" in keras


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_choice_that_all_uses_take_alike_stays(backend: str) -> None:
    spec = """
        block B(width, on = true) { conv(width, 1x1)
            if on { relu } else { tanh } }
        model M {
            input image: 3x32x32
            a: B(8) -> b: B(9)
        }
    """
    text = code(spec, backend)
    assert "on: bool = True" in text
    assert "tanh" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_choices_in_a_numbered_group(backend: str) -> None:
    """Positions move with what comes before; two options move them independently."""
    spec = """
        block B(a = false, b = false, c = false, shift = 1) {
            g: {
                if a { conv(4, 1x1) }
                conv(shift, 1x1)
                if b { conv(5, 1x1) -> relu }
                conv(4, 1x1)
                if c { relu }
                conv(4, 1x1)
            }
        }
        model M {
            input image: 3x16x16
            p: B() -> q: B(a = true) -> r: B(b = true, shift = 3) -> s: B(a = true, b = true)
            t: B(a = true, b = true, c = true) -> u: B(c = true)
        }
    """
    text = code(spec, backend)
    if backend == "torch":
        assert text.count("class ") == 2
        assert "layers: list[nn.Module] = []" in text


def test_named_parts_of_a_group_with_options() -> None:
    spec = """
        block B(on, count = 2) {
            g: {
                if on { extra: conv(4, 1x1) }
                main: conv(4, 1x1)
                for i in range(count) { more{i}: conv(4, 1x1) }
                conv(4, 3x3, pad = 1)
            }
        }
        model M {
            input image: 3x16x16
            a: B(true) -> b: B(false) -> c: B(true, count = 5)
        }
    """
    assert "layers: OrderedDict[str, nn.Module] = OrderedDict()" in code(spec, "torch")
    code(spec, "keras")


@pytest.mark.parametrize("backend", BACKENDS)
def test_nested_and_empty_choices(backend: str) -> None:
    spec = """
        block B(on, off, n = 3) {
            input x
            y = x -> first: conv(4, 1x1)
            if on { if off { y = y -> second: conv(4, 1x1) } } else { y = y -> third: relu }
            if off { z = y -> tanh } else { }
            for i in range(n) {
                y = y -> c{i}: conv(4, 1x1)
                if off { y = y -> n{i}: batch_norm }
            }
            output y
        }
        model M {
            input image: 4x16x16
            a: B(true, true) -> b: B(true, false) -> c: B(false, true) -> d: B(false, false, n = 6)
        }
    """
    code(spec, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_option_without_a_name_beside_numbered_layers(backend: str) -> None:
    """Without the option, the next layer has its number."""
    code(
        """
        block B(width, on = false) {
            input x
            conv(4, 3x3, pad = 1)
            if on { conv(4, 1x1) }
            conv(width, 1x1) -> conv(width, 3x3, pad = 1)
        }
        model M {
            input image: 3x16x16
            a: B(3) -> b: B(4, on = true) -> c: B(5)
        }
        """,
        backend,
    )


# ---- loops ---------------------------------------------------------------------------------------------------------


def test_loops_are_kept_where_the_depth_varies() -> None:
    spec = """
        block B(depth, width = 8) {
            for i in range(depth) { conv{i}: conv(width * (i + 1), 3x3, pad = 1) -> norm{i}: batch_norm -> relu }
        }
        model M {
            input image: 3x32x32
            a: B(2) -> b: B(5) -> c: B(1) -> d: B(4, width = 16) -> e: B(0)
        }
    """
    torch = code(spec, "torch")
    assert "for i in range(depth):" in torch
    assert "channels = in_channels" in torch  # what comes in, then what the turn before has made
    assert "channels = width * (i + 1)" in torch
    assert "for i in range(self.depth):" in torch
    assert "for i in range(depth):" in code(spec, "keras")


def test_loops_of_few_turns_are_written_out() -> None:
    spec = """
        model M {
            input image: 3x32x32
            for i, width in [(0, 4), (1, 8), (2, 12)] { c{i}: conv(width, 3x3) -> relu }
        }
    """
    for backend in BACKENDS:
        assert "range(" not in code(spec, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_over_a_table_is_one(backend: str) -> None:
    spec = """
        model M {
            input image: 3x64x64
            for i, width in enumerate([4, 9, 5, 7, 7, 8]) { c{i}: conv(width, 3x3, pad = 1) }
        }
    """
    text = code(spec, backend)
    assert "for i, width in enumerate([4, 9, 5, 7, 7, 8]):" in text
    assert ("x = self.c5(x)" in text) == (backend == "torch")


@pytest.mark.parametrize("backend", BACKENDS)
def test_nested_loops(backend: str) -> None:
    spec = """
        block B(n, m) {
            for i in range(n) {
                for j in range(m) { c{i}_{j}: conv(8 + i * 2, 1x1) -> relu }
                t{i}: conv(4 * i + 4, 1x1)
            }
        }
        model Net {
            input image: 3x32x32
            a: B(2, 3) -> b: B(4, 5) -> c: B(5, 2)
        }
    """
    text = code(spec, backend)
    assert "for i in range(n):" in text
    assert "for j in range(m):" in text


LOOPS = {
    "c{i}: conv(4 + i, 1x1)": "range(n)",
    "if i > 0 { c{i}: conv(4 + i, 1x1) } else { d{i}: conv(4, 3x3, pad = 1) -> batch_norm }": "if i > 0",
    "if i % 2 == 0 { c{i}: conv(4 + i, 1x1) } else { d{i}: conv(4, 3x3, pad = 1) }": "if i % 2 == 0",
    "for j in range(i + 1) { c{i}_{j}: conv(4, 1x1) }": "for j in range(i + 1)",
    "c{100 - i}: conv(20 - 2 * i, 1x1)": "20 - 2 * i",
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("body", LOOPS)
def test_what_changes_from_turn_to_turn(body: str, backend: str) -> None:
    """A rule for every turn, or the loop is written out."""
    spec = f"block B(n) {{ for i in range(n) {{ {body} }} }}\n"
    spec += "model M {\n input image: 3x16x16\n a: B(4) -> b: B(7) -> c: B(1)\n}\n"
    assert LOOPS[body] in code(spec, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_value_that_only_the_first_turn_makes(backend: str) -> None:
    code(
        """
        block B(n, on) {
            input x
            for i in range(n) {
                y = x -> c{i}: conv(4, 1x1)
                if on { y = y -> n{i}: batch_norm }
                if i > 0 { x = x + y } else { x = y }
            }
            output x
        }
        model M {
            input image: 3x16x16
            p: B(4, true) -> q: B(6, false) -> r: B(7, true)
        }
        """,
        backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_growing_list(backend: str) -> None:
    code(
        """
        block Unit(growth) { conv(growth, 1x1) }
        block B(depth, growth) {
            input x
            features = [x]
            for i in range(depth) {
                y = concat(features) -> u{i}: Unit(growth)
                features = features + [y]
            }
            concat(features)
        }
        model M {
            input image: 3x16x16
            a: B(3, 4) -> b: B(6, 4) -> c: B(5, 2)
        }
        """,
        backend,
    )


def test_loops_in_groups() -> None:
    spec = """
        model M(count = 5) {
            input image: 3x16x16
            g: {
                for i in range(count) { conv(4, 1x1) }
                relu
                for i in range(count) { more{i}: conv(4, 1x1) }
            }
            h: {
                for i in range(count) { conv(4, 1x1) }
                tanh
                for i in range(count) { conv(4, 1x1) -> relu }
            }
        }
    """
    torch = code(spec, "torch")
    # Without a turn of the first loop, three channels are left.
    assert 'layers[f"more{i}"] = nn.Conv2d(channels, 4, 1)' in torch
    assert 'layers[f"{count}"] = nn.ReLU(inplace=True)' in torch
    assert "*[nn.Conv2d(4, 4, 1) for _ in range(count)]," in torch
    code(spec, "keras")


# ---- names that loops take from turn to turn -----------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_name_that_grows_from_turn_to_turn(backend: str) -> None:
    text = code(
        """
        block Stage(depth, start, growth) {
            width = start
            for i in range(depth) {
                conv(width, 3x3, pad = 1) -> relu
                width = width + growth
            }
            last: conv(width, 1x1)
        }
        model M(classes = 10) {
            input image: 3x16x16
            a: Stage(1, 8, 4) -> b: Stage(2, 8, 4) -> c: Stage(3, 4, 2) -> global_avg_pool -> flatten -> dense(classes)
        }
        """,
        backend,
        classes=3,
    )
    assert "width = start\n" in text
    assert "width += growth\n" in text
    assert "Right for the uses in this file" not in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sum_over_a_loop_without_layers(backend: str) -> None:
    text = code(
        """
        block Tower(depths, rate) {
            total = 0
            for depth in depths {
                total = total + depth * 2
            }
            before = 0
            for i, depth in enumerate(depths) {
                for j in range(depth) {
                    drop{i}_{j}: dropout(rate * (before + j) / total)
                }
                before = before + depth
            }
            conv(total, 1x1)
        }
        model M {
            input image: 3x8x8
            a: Tower([1, 2], 0.5) -> b: Tower([2, 1, 3], 0.4) -> c: Tower([3], 0.2)
        }
        """,
        backend,
    )
    assert "total = sum(depth * 2 for depth in depths)" in text
    assert "before = 0\n" in text
    assert "before += depth\n" in text
    assert "rate * (before + j) / total" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_name_that_is_read_behind_its_change_is_no_such(backend: str) -> None:
    """The name has two values in each turn: what cannot be said is written out, or found in what has the value."""
    code(
        """
        block Stage(depth, width) {
            for i in range(depth) {
                conv(width, 3x3, pad = 1)
                width = width + 2
                conv(width, 1x1)
            }
        }
        model M {
            input image: 3x8x8
            a: Stage(1, 8) -> b: Stage(2, 4) -> c: Stage(3, 4)
        }
        """,
        backend,
    )


def test_a_name_that_is_taken_on_in_labels() -> None:
    """The forward pass takes it from turn to turn as the constructor does."""
    torch = code(
        """
        block Stage(depths) {
            before = 0
            for depth in depths {
                for j in range(depth) {
                    layer{before + j}: conv(4, 3x3, pad = 1)
                }
                before = before + depth
            }
        }
        model M {
            input image: 3x8x8
            a: Stage([1, 2]) -> b: Stage([2, 1, 3]) -> c: Stage([3])
        }
        """,
        "torch",
    )
    assert torch.count("before += depth\n") == 2
    assert 'getattr(self, f"layer{before + j}")' in torch


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_table_whose_layers_are_numbered(backend: str) -> None:
    text = code(
        """
        block Stage(widths) {
            for width in widths { conv(width, 3x3, pad = 1) }
            conv(4, 1x1)
        }
        model M {
            input image: 3x8x8
            a: Stage([1, 2]) -> b: Stage([2, 1, 3]) -> c: Stage([3])
        }
        """,
        backend,
    )
    assert "for i, width in enumerate(widths):" in text
    assert "conv_{len(" in text


# ---- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_inputs_and_outputs(backend: str) -> None:
    text = code(
        """
        block Cross(width) {
            input a
            input b
            left = a -> l: conv(width, 1x1)
            right = b -> r: conv(width, 1x1)
            output left + right
            output left * right
        }
        model M {
            input image: 3x16x16
            input other: 3x16x16
            p, q = c1: Cross(image, other, 4)
            s, t = c2: Cross(p, q, 8)
            u, v = c3: Cross(s, s, 8)
            output total = u + v
            output difference = s - t
        }
        """,
        backend,
    )
    assert "p, q = " in text
    assert "tuple[Tensor, Tensor]" in text or "keras.Model([image, other], [total, difference]" in text


def test_auxiliary_outputs() -> None:
    spec = """
        block Head(classes) { global_avg_pool -> flatten -> fc: dense(classes) }
        model M(classes = 10) {
            input image: 3x16x16
            early = image -> stem: conv(8, 3x3)
            auxiliary output early_head = early -> head1: Head(classes)
            late = early -> more: conv(16, 3x3)
            output main = late -> head2: Head(classes)
            auxiliary output late_head = late -> head3: Head(classes)
        }
    """
    torch = code(spec, "torch", classes=3)
    assert "        if self.training:\n            late_head = self.head3(late)" in torch
    assert "            return main, early_head, late_head\n        return main" in torch
    assert "keras.Model(image, [early_head, main, late_head]" in code(spec, "keras", classes=3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_that_uses_what_was_not_handed_to_it(backend: str) -> None:
    code(
        """
        model M {
            input image: 3x16x16
            y = image -> a: conv(8, 3x3, pad = 1)
            g: { z = y -> conv(8, 1x1)
                 y + z -> relu }
        }
        """,
        backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_keep_their_names(backend: str) -> None:
    """The model asks for its input at the end in Keras: nothing else may have its name."""
    text = code(
        """
        model M(depth = 6) {
            input x: 4x16x16
            x = x -> a: conv(4, 1x1)
            x = x + (x -> b: conv(4, 1x1))
            for i in range(depth) { x = x -> c{i}: conv(4, 1x1) }
            output x
        }
        """,
        backend,
        depth=9,
    )
    assert "for i in range(" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_that_pass_through(backend: str) -> None:
    code(
        """
        block Same { input x
            output x }
        block Maybe(on) { input x
            if on { x = x -> relu }
            output x }
        block Both { input x
            output a = x
            output b = x -> conv(3, 1x1) }
        model M {
            input image: 3x16x16
            a: Maybe(true) -> b: Maybe(false) -> c: Same -> g: { }
            p, q = Both(image)
            output sum = p + q
            output image
        }
        """,
        backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_parts_that_nothing_reads(backend: str) -> None:
    """A name for them would be an unused variable."""
    text = code(
        """
        block B(n) { input x
            parts = split(x, n)
            z = x -> unused: max_pool(2x2)
            concat(parts[1], parts[0]) -> conv(12, 1x1) }
        model M {
            input image: 12x16x16
            a: B(2) -> b: B(3) -> c: B([4, 8])
        }
        """,
        backend,
    )
    assert f"        {'self.unused(x)' if backend == 'torch' else 'layers.MaxPooling2D(2, name=f'}"[4:] in text
    assert "= self.unused" not in text


def test_weights_that_nothing_reads() -> None:
    """A functional model of Keras has only what its outputs depend on; a PyTorch module has all."""
    spec = """
        model M {
            input x: 3x8x8
            z = x -> unused: conv(3, 1x1) -> relu
            x -> conv(4, 3x3)
        }
    """
    assert "self.unused(x)" in code(spec, "torch")
    assert refused(spec, "keras").startswith(
        "4: the keras backend cannot express `conv` here: nothing reads its result"
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_symbolic_sizes(backend: str) -> None:
    text = code(
        """
        block B(width) { conv(width, 3x3, pad = same) -> batch_norm -> relu }
        model M(classes = 3) {
            input image: [1, H, W]
            a: B(16) -> b: B(32) -> max_pool(2x2) -> c: conv(classes, 1x1)
        }
        """,
        backend,
        classes=5,
    )
    assert "[1, H, W]" in text or "keras.Input((None, None, 1)" in text


# ---- learned arrays and initialisers -------------------------------------------------------------------------------


def test_learned_arrays_under_any_name() -> None:
    spec = """
        block P(n) {
            input x
            for i in range(n) {
                s = w{i}: parameter([3, 1, 1], init = ones)
                x = x * s
            }
            t = "odd-name": parameter([3, 1, 1], init = zeros)
            output x + t
        }
        block Q(on) {
            input x
            if on { s = scale: parameter([3, 1, 1], init = normal(0, 0.5))
                x = x * s }
            output x
        }
        model M {
            input image: 3x16x16
            y = image -> a: P(4) -> b: P(5) -> c: Q(true) -> d: Q(false)
            p = heads.x.scale: parameter([3, 1, 1], init = zeros)
            output r = y * p
        }
    """
    torch = code(spec, "torch")
    assert 'self.register_parameter(f"w{i}", nn.Parameter' in torch
    assert 'getattr(self, "odd-name")' in torch
    assert "self.scale: nn.Parameter | None = None" in torch
    assert 'nn.init.normal_(self.get_parameter("c.scale")' in torch
    code(spec, "keras")


INITIALISERS = """
    block B(w) {
        conv(w, 3x3, pad = [[1, 0], [0, 1]], init = he_normal) -> relu -> conv(w, 3x3, pad = 1, init = orthogonal)
    }
    model M {
        input image: 3x16x16
        a: B(4) -> b: B(8) -> dense(3, axis = channels, init = lecun_normal, bias_init = ones)
        c: conv(3, 1x1, bias_init = constant(0.5)) -> conv(3, 1x1, bias = false)
        flatten -> dense(4) -> prelu -> dense(5, init = uniform(-1, 1))
    }
"""


def test_initialisers() -> None:
    """A helper derived from a class of PyTorch is under the rule for that class; what starts otherwise is named."""
    torch = code(INITIALISERS, "torch")
    assert "isinstance(module, nn.Conv2d)" in torch
    assert "isinstance(module, PaddedConv2d)" not in torch
    assert 'for path in ("a.conv_2.weight", "b.conv_2.weight"):' in torch
    assert 'nn.init.constant_(self.get_parameter("c.bias"), 0.5)' in torch
    code(INITIALISERS, "keras")


def test_initialisers_by_name_fix_what_they_name() -> None:
    spec = """
        model M(n = 5, m = 5) {
            input image: 3x16x16
            for i in range(n) { c{i}: conv(4, 1x1, init = orthogonal) }
            for i in range(m) { d{i}: conv(4, 1x1) }
            for i in range(m) { e{i}: conv(4, 1x1) }
        }
    """
    torch = code(spec, "torch", m=9, n=9)
    assert "Compiled with n = 5" in torch
    assert "m: int = 5" in torch


def test_padding_that_depends_on_the_stride_needs_no_argument() -> None:
    spec = """
        block B(width, stride = 1) {
            input x
            y = x -> conv: conv(width, 3x3, stride = stride, pad = same) -> relu
            y -> pool: max_pool(3x3, stride = 2, pad = same) -> avg: avg_pool(3x3, stride = 2, pad = same)
        }
        model M {
            input image: 3x224x224
            a: B(8) -> b: B(16, stride = 2) -> c: conv(4, 1x1, stride = 2, pad = same)
        }
    """
    torch = code(spec, "torch")
    assert "def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:" in torch
    assert "SameConv2d(in_channels, width, 3, stride=stride)" in torch
    assert "self.pool = SameMaxPool2d(3, stride=2)" in torch
    assert "self.avg = SameAvgPool2d(3, stride=2, count_include_pad=False)" in torch
    assert "self.c = nn.Conv2d(16, 4, 1, stride=2)" in torch
    assert torch.index("def same_padding(") < torch.index("class SameConv2d(")


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("image / 255", "image / 255"),
        ("image / 127.5 - 1", "image / 127.5 - 1"),
        ("0.5 * image", "0.5 * image"),
        ("1.0 * image", "image"),
    ],
)
def test_scales_read_as_people_write_them(formula: str, text: str) -> None:
    spec = f"model M {{ input image: 3x16x16\n x = {formula}\n x -> conv(8, 1x1) }}"
    assert f"x = {text}  # 3x16x16" in code(spec, "torch")


def test_a_width_of_one_branch_is_the_parameter_of_the_block() -> None:
    spec = """
        block B(expansion, filters) {
            if expansion == 1 { conv(filters, 3x3) -> batch_norm } else { conv(filters * 2, 1x1) -> relu }
        }
        model M {
            input image: 24x64x64
            B(1, 24) -> B(1, 24) -> B(4, 32) -> B(4, 64)
        }
    """
    torch = code(spec, "torch")
    assert "nn.Conv2d(in_channels, filters, 3)" in torch
    assert "nn.BatchNorm2d(filters, " in torch


# ---- names ---------------------------------------------------------------------------------------------------------


def test_labels_that_are_no_identifiers() -> None:
    spec = """
        model M {
            input image: 3x16x16
            "block1-0": conv(8, 3x3) -> "2x": batch_norm -> "a.b-c": relu -> "a.d": relu
        }
    """
    torch = code(spec, "torch")
    assert 'self.add_module("block1-0", nn.Conv2d(3, 8, 3))' in torch
    assert 'getattr(self, "block1-0")(image)' in torch
    assert 'OrderedDict({"b-c": nn.ReLU(inplace=True), "d": nn.ReLU()})' in torch
    code(spec, "keras")


def test_dotted_labels_that_are_no_chain() -> None:
    spec = """
        model M {
            input image: 3x16x16
            a = image -> heads.a: conv(8, 1x1)
            b = image -> heads.b: conv(8, 1x1)
            c = image -> deep.x.y: conv(8, 1x1)
            d = image -> deep.x.z: conv(8, 1x1)
            concat(a, b, c, d)
        }
    """
    torch = code(spec, "torch")
    assert "self.heads = nn.ModuleDict()" in torch
    assert 'c = self.deep["x"]["y"](image)' in torch
    assert 'name="deep_x_y"' in code(spec, "keras")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "train: conv(8, 1x1)",
            "4: the torch backend cannot express `conv` here: `train` is an attribute of every nn.Module",
        ),
        (
            "training: Block",
            "4: the torch backend cannot express `Block` here: `training` is an attribute of every nn.Module",
        ),
        ("_modules: { relu }", "4: the torch backend cannot express `_modules` here"),
        (
            "g: { append: relu }",
            "4: the torch backend cannot express `relu` here: `append` is an attribute of nn.Sequential",
        ),
        (
            "heads.keys: relu",
            "4: the torch backend cannot express `relu` here: `keys` is an attribute of nn.Sequential",
        ),
        (
            "for i in range(5) { a{i}.state_dict: relu }",
            "4: the torch backend cannot express `relu` here: `state_dict`",
        ),
        ("Nested", "1: the torch backend cannot express `conv` here: `type` is an attribute of every nn.Module"),
    ],
)
def test_names_that_pytorch_needs(body: str, said: str) -> None:
    blocks = "block Nested { type: conv(8, 1x1) }\nblock Block { conv(8, 1x1) }\n"
    spec = f"{blocks}model M {{ input image: 3x16x16\n{body} }}\n"
    assert refused(spec, "torch").startswith(said)
    code(spec, "keras")


def test_names_that_pytorch_has_only_in_containers() -> None:
    assert "self.append = " in code(
        "model M {\n input image: 3x16x16\n append: conv(8, 1x1) -> keys: relu\n}\n", "torch"
    )


def test_names_that_keras_cannot_tell_apart() -> None:
    spec = "model M {\n input image: 3x16x16\n a.b: conv(8, 1x1)\n a_b: relu\n}\n"
    assert "4: the keras backend cannot express `relu` here: its name there, `a_b`, is that of `a.b` too" in refused(
        spec, "keras"
    )
    code(spec, "torch")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "name",
    [
        "nn",
        "Tensor",
        "torch",
        "keras",
        "layers",
        "ops",
        "F",
        "print",
        "super",
        "OrderedDict",
        "math",
        "StochasticDepth",
        "Split",
        "LayerNorm2d",
    ],
)
def test_blocks_named_like_what_the_code_uses(name: str, backend: str) -> None:
    code(
        f"""
        block {name}(width) {{
            input x
            a, b = split(x, 2)
            y = concat(b, a) -> g: {{ c: conv(width, 1x1) -> layer_norm -> stochastic_depth(0.5) }}
            output y
        }}
        model M {{
            input image: 4x16x16
            a: {name}(4) -> b: {name}(6)
        }}
        """,
        backend,
    )


def test_a_model_named_like_a_definition_it_needs() -> None:
    spec = "model StochasticDepth {\n input image: 3x16x16\n conv(4, 1x1) -> stochastic_depth(0.2)\n}\n"
    assert "the file needs a definition named `StochasticDepth` besides the model" in refused(spec, "torch")
    code(spec, "keras")
    spec = "model Gelu {\n input image: 3x16x16\n gelu\n}\n"
    assert "the file needs a definition named `gelu` besides the model" in refused(spec, "keras")
    code(spec, "torch")


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_whose_names_differ_in_case(backend: str) -> None:
    text = code(
        """
        block Stage(w) { conv(w, 1x1) -> relu }
        block stage(w) { conv(w, 3x3) -> relu }
        block STAGE(w) { conv(w, 5x5) }
        block m(w) { conv(w, 1x1) }
        model M {
            input image: 3x32x32
            a: Stage(1) -> b: stage(2) -> c: STAGE(3) -> d: STAGE(4) -> e: m(3)
        }
        """,
        backend,
    )
    assert backend == "torch" or "def stage3(" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_names_that_collide(backend: str) -> None:
    """Parameters named like inputs, variables, loops, functions and what the code itself uses."""
    text = code(
        """
        block Features(w) { conv(w, 1x1) -> relu }
        block head(w) { conv(w, 1x1) }
        block B(self, name, x, y, layers = 3, i = 2, in_channels = 5, depth = 1, shift = 1, head = 3) {
            conv(self, 1x1) -> conv(name, 1x1) -> conv(x, 1x1) -> conv(layers, 1x1)
            conv(i, 1x1) -> conv(in_channels, 1x1)
            for k in range(depth) { c{k}: conv(i, 1x1) }
            conv(y + shift, 1x1) -> conv(head, 1x1)
        }
        model M {
            input image: 3x16x16
            a: B(1, 2, 3, 4) -> b: B(4, 5, 6, 7, layers = 7, i = 8, in_channels = 9, depth = 3, shift = 5, head = 4)
            c: B(5, 1, 2, 3, layers = 1, i = 3, in_channels = 2, depth = 7)
            output more = relu
            features = image -> f: Features(8)
            image_ = features -> g: Features(9)
            up = image_ -> h: head(4) -> h2: head(5)
            output up
        }
        """,
        backend,
    )
    assert "self_: int" in text
    assert "name_: int" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_flags_named_like_layers(backend: str) -> None:
    code(
        """
        block B(act, has_act = false, depth = 1) {
            input x
            if act { act: conv(4, 1x1) -> act2: relu } else { depth: conv(4, 1x1) }
            if has_act { has_act: conv(4, 1x1) -> sigmoid }
            for i in range(depth) { c{i}: conv(4, 1x1) -> relu }
        }
        model M {
            input image: 3x16x16
            a: B(true) -> b: B(false, has_act = true, depth = 5) -> c: B(true, has_act = true, depth = 7)
        }
        """,
        backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_text_of_the_spec_breaks_out(backend: str) -> None:
    """Names of files and strings stand in a docstring."""
    text = 'model M(mode = "a\\"\\"\\"b\\\\") {\n input image: 3x16x16\n relu\n}\n'
    evil = 'x"""\nimport os\nos.abort()\n"""\\'
    graph, probes = api.load_for_compiling(loading.Spec(text, evil, None, None))
    source = check(backend, graph, probes)
    compile(source, "generated", "exec")
    assert "\nimport os" not in source.split('"""', 2)[2]


# ---- blocks that one definition cannot serve -----------------------------------------------------------------------


NORMS = """
block B(norm, act = relu) { conv(8, 1x1) -> norm -> act }
model M {
    input image: 3x32x32
    a: B(batch_norm) -> b: B(local_response_norm(5)) -> c: B(group_norm(4)) -> d: B(layer_norm, act = tanh)
    e: B(identity, act = prelu) -> f: B(batch_norm(eps = 1e-3))
}
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_block_takes_layers_with_and_without_channels(backend: str) -> None:
    text = code(NORMS, backend)
    assert "Right for" not in text
    assert len(re.findall(r"^(?:class B\d?\(|def b\d?\()", text, re.MULTILINE)) == 1
    if backend == "torch":
        assert "B(8, lambda channels: nn.LocalResponseNorm(5))" in text
        assert "self.norm_1 = norm(8)" in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_uses_that_share_no_code(backend: str) -> None:
    """Normalisation over whole maps is of one size in PyTorch; what else a block is given shares its definition."""
    text = code(NORMS.replace("batch_norm(eps = 1e-3)", "layer_norm(axes = all)"), backend)
    definitions = re.findall(r"^(?:class B\d?\(|def b\d?\()", text, re.MULTILINE)
    assert len(definitions) == (2 if backend == "torch" else 1)
    assert ("Right for this network's uses only: B, B2" in text) == (backend == "torch")


@pytest.mark.parametrize("side", ["conv(8, 1x1) -> relu", ""])
def test_a_side_that_no_use_meets_is_said(side: str) -> None:
    """Nothing is known of its code, and an empty one can be missing."""
    spec = """
        block B(width) {
            if width != 7919 { conv(width, 1x1) } else { SIDE }
        }
        model M {
            input image: 3x32x32
            B(4) -> B(8)
        }
    """
    for backend in BACKENDS:
        text = code(spec.replace("else { SIDE }", f"else {{ {side} }}" if side else ""), backend)
        assert f"Right for this network's uses only: {'B' if backend == 'torch' else 'b'}\n" in text


IN_PLACE = {
    "conv(8, 3x3, pad = 1) -> relu": True,
    "conv(8, 3x3, pad = 1) -> batch_norm -> relu6": True,
    "x = conv(4, 1x1)(image) + conv(4, 1x1)(image)\n x -> relu": True,
    "{ conv(8, 1x1) -> batch_norm } -> relu": True,
    "Inner -> relu": True,
    "flatten -> dense(8) -> relu": True,
    # Its input is the model's, another layer reads it too, or its maker's gradient needs it.
    "relu -> conv(8, 1x1)": False,
    "x = image -> conv(8, 1x1)\n relu(x) + x": False,
    "x = image -> conv(8, 1x1)\n output a = x\n output b = x -> relu": False,
    "conv(8, 1x1) -> sigmoid -> relu": False,
    "conv(8, 1x1) -> softmax -> relu": False,
    "conv(8, 1x1) -> max_pool(2) -> relu": False,
    "conv(8, 1x1) -> dropout(0.5) -> relu": False,
    "conv(8, 1x1) -> flatten -> relu": False,
    "dense(8, axis = channels) -> relu": False,
    # A group that is a class of its own takes what may be read elsewhere; so does what a block applies for others.
    "conv(8, 1x1) -> named: { relu -> conv(8, 1x1) -> sigmoid }": False,
    "Outer(relu)": False,
    "Before -> Before": False,
}
"""Whether the only ReLU of a body may write over its input."""


@pytest.mark.parametrize("body", IN_PLACE)
def test_in_place_where_nothing_else_needs_the_input(body: str) -> None:
    spec = f"""
        block Inner {{ conv(4, 1x1) -> batch_norm }}
        block Outer(act) {{ conv(4, 1x1) -> act }}
        block Before {{ relu -> conv(4, 1x1) }}
        model M {{
            input image: 3x8x8
            {body}
        }}
    """
    text = code(spec, "torch")
    assert re.search("nn.ReLU|F.relu", text)
    assert ("inplace=True" in text) == IN_PLACE[body]


def test_in_place_in_all_uses_or_none() -> None:
    """What one use of a block reads again, no use may write over."""
    spec = """
        block Unit(project) {
            input x
            y = x
            if project { y = y -> conv(4, 1x1) }
            y = y -> relu
            x + y
        }
        model M {
            input image: 4x8x8
            conv(4, 1x1) -> Unit(true) -> Unit(false) -> Unit(true)
        }
    """
    text = code(spec, "torch")
    assert "relu" in text
    assert "inplace" not in text


def test_in_place_where_that_is_wrong_is_noticed() -> None:
    text = "model M {\n input image: 3x8x8\n x = image -> conv(8, 1x1)\n relu(x) + x\n}"
    graph, _ = api.load_for_compiling(loading.Spec(text, "spec.cnn", None, None))
    source = check("torch", graph, [])
    with pytest.raises(Deviation):
        check("torch", graph, [], change=lambda text: text.replace("F.relu(x)", "F.relu(x, inplace=True)"))
    assert "F.relu(x)" in source


@pytest.mark.parametrize("value", [0.2 * 3 / 16, 0.1 / 17, 0.1 * 6 / 39, 1 / 3, 11 / 3, 1 / 255, 0.15000000000000002])
def test_a_quotient_is_written_as_one(value: float) -> None:
    """To the last digit: the text is the very number, and short."""
    written = readable(repr(value))
    assert eval(written) == value
    assert len(written) < 14


@pytest.mark.parametrize("text", ["0.25", "0.8796256610342398", "width / 3", "0.050176000000000005", "-1", '"0.1"'])
def test_what_is_no_quotient_stays(text: str) -> None:
    assert readable(text) == text


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_condition_on_maps_is_an_argument(backend: str) -> None:
    """Not `in_channels == filters`, which happens to be the same in all uses of this file."""
    spec = """
        block Unit(filters, kernel = 1, stride = 1) {
            input x
            y = x -> depthwise_conv(kernel, stride = stride, pad = same) -> conv(filters, 1)
            if y.shape == x.shape {
                y = x + y
            }
            output y
        }
        model M {
            input image: 3x32x32
            a: Unit(3) -> b: Unit(8) -> c: Unit(8)
        }
    """
    text = code(spec, backend)
    assert "option: bool" in text
    assert "`option`: `y.shape == x.shape`, which the spec computes." in text
    assert "== filters" not in text


def test_channels_behind_a_loop_that_may_have_no_turn() -> None:
    spec = """
        block Stage(width, depth = 1) {
            for i in range(depth) { conv{i}: conv(width, 3x3, pad = 1) }
            batch_norm
        }
        block Doubling(width) {
            input x
            for i in range(5) { x = concat(x, x) }
            x -> conv(width, 1x1)
        }
        model M {
            input image: 3x16x16
            Stage(8) -> Stage(8, 2) -> Doubling(4) -> Doubling(5)
        }
    """
    lines = [line.strip() for line in code(spec, "torch").splitlines()]
    assert "self.batch_norm_1 = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)" in lines
    assert "channels += channels" in lines
    assert "self.conv_1 = nn.Conv2d(channels, width, 1)" in lines


def test_what_only_a_default_needs_is_in_the_file() -> None:
    """Its uses give other layers; the block's own stands nowhere but in its declaration."""
    spec = """
        block B(norm = layer_norm, act = prelu(shared = true)) { conv(8, 1x1) -> norm -> act }
        model M {
            input image: 3x32x32
            B(batch_norm, relu) -> B(batch_norm, tanh)
        }
    """
    assert "class LayerNorm2d(" in code(spec, "torch")
    assert "class Prelu(" in code(spec, "keras")


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_of_other_ranks(backend: str) -> None:
    code(
        """
        block B(w) { conv(w, 3, pad = 1) -> batch_norm -> relu }
        model M {
            input signal: 3x32
            input image: 3x32x32
            a = signal -> a: B(4)
            b = image -> b: B(4)
            c = a -> c: B(5)
            output a
            output b
            output c
        }
        """,
        backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_block_as_an_argument(backend: str) -> None:
    code(
        """
        block Unit(w) { conv(w, 1x1) -> relu }
        block Other(w) { conv(w, 3x3, pad = 1) -> tanh }
        block Stage(unit, w, n) { for i in range(n) { u{i}: unit(w) } }
        model M {
            input image: 3x16x16
            a: Stage(Unit, 4, 4) -> b: Stage(Unit, 8, 5) -> c: Stage(Other, 4, 4)
        }
        """,
        backend,
    )


# ---- parameters of the model ---------------------------------------------------------------------------------------

PARAMETERS = """
    block R(width) { conv(width, 1x1) -> relu }
    model M(classes = 10, rate = 0.5, depth = 4, width = 8, wide = false, act = relu) {
        input image: 3x16x16
        a: conv(width * 2, 3x3) -> dropout(rate) -> act
        for i in range(depth) { c{i}: conv(width, 1x1) }
        r: R(width) -> s: R(5)
        if wide { d: conv(100, 1x1) }
        global_avg_pool -> flatten -> fc: dense(classes)
    }
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_parameters_of_the_model(backend: str) -> None:
    text = code(PARAMETERS, backend, classes=3, depth=7, width=6)
    assert "classes: int = 10, rate: float = 0.5, depth: int = 4, width: int = 8" in " ".join(text.split())
    # What changes the structure is fixed, and said.
    assert "Compiled with wide = False" in text
    assert "wide" not in text.split('"""', 2)[2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_alone_has_no_parameters(backend: str) -> None:
    graph, _ = loaded(PARAMETERS)
    text = check(backend, graph)
    assert "classes = 10" in text.split('"""', 2)[1]
    assert "classes" not in text.split('"""', 2)[2]


RULES: list[Callable[[str], str]] = [
    lambda width: f"{width} * 3",
    lambda width: f"{width} + 3",
    lambda width: f"{width} // 2",
    lambda width: f"round_to({width}, 8)",
    lambda width: f"min({width}, 64)",
    lambda width: f"min({width}, 500)",
    lambda width: f"max({width}, 4)",
    lambda width: f"max({width}, 64)",
    lambda width: f"if {width} > 40 then 3 else 4",
    lambda width: f"if {width} == 20 then 3 else {width}",
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rule", RULES)
def test_what_a_parameter_decides(rule: Callable[[str], str], backend: str) -> None:
    """An argument is taken only where the code follows it; otherwise it is fixed."""
    graph, probes = loaded(
        f"model M(width = 20) {{\n input image: 3x16x16\n conv({rule('width')}, 1x1) -> conv(width, 1x1)\n}}\n"
    )
    others = [
        api.loads(
            f"model M(width = {width}) {{\n input image: 3x16x16\n conv({rule('width')}, 1x1) -> conv(width, 1x1)\n}}\n"
        )
        for width in (2, 3, 19, 30, 41, 64, 65, 100, 1000, 4096)
    ]
    check(backend, graph, probes, others)


def test_exact_training_changes_keras_batch_norms_alone() -> None:
    normed = "model Net {\n    input x: 3x8x8\n    conv(4, 3x3) -> bn: batch_norm -> relu -> batch_norm\n}\n"
    plain = "model Net {\n    input x: 3x8x8\n    conv(4, 3x3) -> layer_norm\n}\n"
    graph = api.loads(normed)
    stock, exact = (api.compile(graph, "keras", exact_training=one) for one in (False, True))
    assert exact.count("class BatchNormalization(layers.BatchNormalization):") == 1

    def calls(source: str) -> list[str]:
        found = re.findall(r" = (.*?)(?:  #.*)?$", source[source.index("def net") :], re.MULTILINE)
        return [call.replace("layers.BatchNormalization(", "BatchNormalization(") for call in found]

    assert calls(exact) == calls(stock)
    for spec, backend in ((normed, "torch"), (plain, "torch"), (plain, "keras")):
        graph = api.loads(spec)
        assert api.compile(graph, backend, exact_training=True) == api.compile(graph, backend)


# ---- blocks that take a layer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_layer_as_an_argument(backend: str) -> None:
    source = code(
        """
        block Unit(width, act, squeeze = false) {
            body: {
                if squeeze {
                    { conv(4, 1x1) -> act }
                }
                conv(width, 3x3, pad = 1) -> act
            }
            gate: act
        }

        block Outer(width, activation) {
            Unit(width, activation, squeeze = width > 8) -> Unit(width, relu)
        }

        model Net {
            input x: 3x8x8
            Outer(8, relu) -> Outer(16, hard_swish) -> Outer(16, leaky_relu(0.2))
        }
        """,
        backend,
    )
    if backend == "torch":
        assert source.count("(nn.Module)") == 3
        assert "act: Callable[[], nn.Module]" in source
        assert "self.gate = act()" in source
        assert "Outer(16, 16, partial(nn.LeakyReLU, 0.2))" in source
    else:
        assert source.count("\ndef ") == 4  # and `hard_swish`
        assert 'act(name=f"{name}_gate")' in source


def test_a_layer_as_a_class() -> None:
    spec = """
        block Unit(act) { body: { conv(4, 3x3) -> act } }
        model Net { input x: 3x8x8 ; Unit(relu) -> Unit(sigmoid) }
    """
    source = code(spec.replace(" ; ", "\n"), "torch")
    assert "act: Callable[[], nn.Module]" in source
    assert "partial" not in source


def test_one_object_for_all_places_of_a_layer() -> None:
    """Where a layer without a name is a parameter, what the block takes makes it, in `forward` as in sequences."""
    source = code(
        """
        block Unit(width, act) {
            input x
            y = x -> conv(width, 3x3, pad = 1) -> batch_norm -> act -> conv(width, 1x1)
            y = y -> body: { conv(width, 1x1) -> act }
            x + y -> act
        }

        model Net {
            input x: 8x8x8
            Unit(8, relu) -> Unit(8, gelu) -> Unit(8, gelu(approximate = tanh))
        }
        """,
        "torch",
    )
    assert source.count("(nn.Module)") == 2
    assert "act: Callable[[], nn.Module]" in source
    assert "self.unit_1 = Unit(8, 8, nn.ReLU)" in source
    assert 'Unit(8, 8, partial(nn.GELU, approximate="tanh"))' in source
    assert source.count("self.act = act()") == 1
    assert source.count("self.act(") == 2
    assert source.count(" act()") == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_that_no_argument_makes(backend: str) -> None:
    """Layers with weights, and those of several steps or of a form with numbers by place, have definitions apart."""
    code(
        """
        block Unit(op) {
            input x
            y = x -> conv(4, 3x3, pad = 1) -> op
            y + y -> max_pool(2x2)
        }

        model Net {
            input x: 4x64x64
            Unit(conv(4, 1x1)) -> Unit(max_pool(3x3, stride = 1, pad = 1)) -> Unit(leaky_relu(0.1)) -> Unit(batch_norm)
                -> Unit(prelu)
        }
        """,
        backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_in_a_group_without_numbers(backend: str) -> None:
    """There they are objects with names of their kind, which no two uses share."""
    code(
        """
        block Unit(act, gate) {
            { act -> gate }
            conv(4, 1x1)
        }

        model Net {
            input x: 4x8x8
            Unit(relu, tanh) -> Unit(sigmoid, sigmoid)
        }
        """,
        backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_positions_after_several_options(backend: str) -> None:
    source = code(
        """
        block Unit(width, a = false, b = false) {
            body: {
                if a { { conv(4, 1x1) -> relu } }
                if b { { conv(6, 1x1) -> relu } }
                conv(width, 1x1)
            }
        }

        model Net {
            input x: 3x8x8
            Unit(7) -> Unit(8, true) -> Unit(9, b = true) -> Unit(8, true, true)
        }
        """.replace("{ {", "{\n{").replace("} }", "}\n}"),
        backend,
    )
    if backend == "keras":
        assert 'name=f"{name}_body_{shift + shift_2}"' in source


def test_sizes_that_are_equal_on_all_axes() -> None:
    """Of a size that some uses have on each axis, the others need one number; where the target takes tuples, not."""
    spec = """
        block Conv(width, kernel, pad, factor) {
            conv(width, kernel, pad = pad) -> relu
            upsample(factor)
        }

        block Two(kernel) {
            first: Conv(8, kernel, 1, 2) -> second: Conv(4, 1x1, 0, 1x2)
        }

        model Net {
            input x: 3x16x16
            Two(3x3) -> Two(1x3)
            Conv(2, 1x5, 0x2, 2)
        }
    """
    torch = code(spec, "torch")
    assert "kernel: int | tuple[int, int], pad: int | tuple[int, int]" in " ".join(torch.split())
    assert "Two(3, 3)" in torch
    assert "Two(4, (1, 3))" in torch
    assert ", 1, 0, (1, 2))" in torch
    keras = code(spec, "keras")
    assert "two(x, 3, name=" in keras
    assert "(1, 3), name=" in keras


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_that_change_from_turn_to_turn(backend: str) -> None:
    code(
        """
        block Unit(width, acts) {
            body: {
                for act in acts {
                    conv(width, 3x3, pad = 1) -> act
                }
            }
        }

        model Net {
            input x: 8x8x8
            Unit(8, [relu, gelu, gelu, gelu, gelu]) -> Unit(9, [sigmoid, gelu, gelu, gelu, gelu, gelu])
            for act in [relu, tanh, tanh, tanh, tanh] {
                conv(4, 1x1) -> act
            }
        }
        """,
        backend,
    )


def test_layers_that_keras_does_in_one() -> None:
    text = """
        block Top(classes) {
            global_avg_pool -> dropout(0.5) -> flatten -> dense(classes)
        }
        model M(classes = 5) {
            input image: 3x16x16
            x = image -> conv(8, 3x3, pad = 1) -> relu -> max_pool(3x3, stride = 2, pad = 1)
            d = concat(x, x -> conv(8, 1x1) -> relu6) -> max_pool(3x3, stride = 2, pad = 1)
            y = d -> conv(16, 1x1)
            e = y -> global_avg_pool
            concat(
                y -> Top(classes),
                d -> Top(classes),
                y -> permute([1, 2, 0]) -> flatten -> dense(classes),
                y -> permute([2, 1, 0]) -> flatten -> dense(classes),
                y -> max_pool(3x3, stride = 2, pad = 1) -> global_avg_pool -> relu -> flatten -> dense(classes),
                e -> flatten -> dense(classes),
                e -> conv(classes, 1x1) -> flatten,
            )
        }
    """
    source = code(text, "keras")
    assert "GlobalAveragePooling2D(name=f" in source
    assert source.count("GlobalAveragePooling2D(keepdims=True") == 2
    assert 'd = layers.ZeroPadding2D(1, name="max_pool_2_pad")(d)' in source
    assert 'InfinityPadding2D(1, name="max_pool_3_pad")(y)' in source
    assert 'layers.Flatten(name="flatten_1")(y)' in source
    assert 'name="flatten_1_permute"' not in source
    assert 'name="flatten_2_permute"' in source


def test_blocks_that_widen_their_input_are_a_loop() -> None:
    text = """
        block Grow(width) {
            input x
            concat(x, x -> conv(width, 3x3, pad = 1))
        }
        model M {
            input image: 3x16x16
            conv(8, 1x1) -> grow_1: Grow(4) -> grow_2: Grow(4) -> grow_3: Grow(4)
        }
    """
    loop = '    for i in range(1, 4):\n        x = grow(x, 4, name=f"grow_{i}")  # 16x16x20 at the end\n'
    assert loop in code(text, "keras")


def test_keras_may_follow_a_long_chain() -> None:
    """It does so by recursion, and fails on some 1000 layers with Python's default limit."""
    text = "model Net {{\n    input x: 4\n    for _ in range({}) {{ relu }}\n}}\n"
    assert "setrecursionlimit" not in api.compile(api.loads(text.format(800)), "keras")
    source = api.compile(api.loads(text.format(801)), "keras")
    assert "import sys\n" in source
    assert "    sys.setrecursionlimit(max(sys.getrecursionlimit(), 2000))\n" in source
