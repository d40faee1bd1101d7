"""From specs to graphs: scopes, loops, layers as values, groups, labels, inputs and outputs, symbolic sizes."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnspec import api, loading
from cnnspec.diagnostics import SpecError
from cnnspec.expand import application, expander
from cnnspec.expand.functions import FUNCTIONS, USAGE
from cnnspec.graph import Branch, Graph, Loop, Scope
from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS
from cnnspec.shapes import Dim, Dims, Symbolic, show


def load(text: str, **parameters: Any) -> Graph:
    return api.loads(text, **parameters)


def model(*body: str, blocks: str = "", shape: str = "3x32x32") -> Graph:
    """The graph of a model with one input and these statements."""
    return load(f"{blocks}\nmodel Net {{\n    input image: {shape}\n    " + "\n    ".join(body) + "\n}\n")


def paths(graph: Graph) -> list[str]:
    return [node.path for node in graph.layers]


def kinds(graph: Graph) -> list[str]:
    return [node.layer.kind for node in graph.layers]


def outputs(graph: Graph) -> dict[str, str]:
    return {port.name: show(graph.shape(port.value)) for port in graph.outputs}


def refusal(*body: str, blocks: str = "") -> list[str]:
    """The codes of what is wrong."""
    with pytest.raises(SpecError) as caught:
        model(*body, blocks=blocks)
    return [d.code for d in caught.value.diagnostics]


def value(expression: str) -> Any:
    """The value of a spec-time expression, read off the names of the model."""
    return model(f"v = {expression}", "relu").root.names["v"]


# ---- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 // 2", 3),
        ("7 / 2", 3.5),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("2 ** 10", 1024),
        ("-2 ** 2", -4),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("if 1 < 2 then 3 else 4", 3),
        ("1 == 1.0 and not 2 > 3", True),
        ("true == 1", False),
        ("false and undefined_name", False),
        ('"a" + "b"', "ab"),
        ('"a" == "a"', True),
        ("same == same", True),
        ("[1, 2] + [3]", (1, 2, 3)),
        ("[1] * 3", (1, 1, 1)),
        ("(1, 2) + (3,)", (1, 2, 3)),
        ("[1, 2] == (1, 2)", True),
        ("[1, 2][1]", 2),
        ("[1, 2][-1]", 2),
        ('"abc"[1] + "abc"[-1]', "bc"),
        ('len("abc")', 3),
        ('enumerate("ab", 1)', ((1, "a"), (2, "b"))),
        ('"{1 + 1}_{same}"', "2_same"),
        ("range(2, 6, 2)", (2, 4)),
        ("range(3, 0, -1)", (3, 2, 1)),
        ("3x32x32", (3, 32, 32)),
        ("3x32x32[1]", 32),
        ("image.shape == 3x32x32", True),
        ("image.channels + image.height + image.width", 67),
        ("image.rank", 3),
        ("image.size", 3072),
        ("min(3, 2) + max([1, 5])", 7),
        ("ceil(2.1) + floor(2.9)", 5),
        ("round(2.5)", 2),
        ("sqrt(16)", 4.0),
        ("log2(8)", 3.0),
        ("len([1, 2, 3])", 3),
        ("sum([1, 2, 3])", 6),
        ("linspace(0, 1, 3)", (0.0, 0.5, 1.0)),
        ("round_to(33, 8)", 32),
        ("round_to(10, 8)", 16),
        ("round_to(3, 8, least = 16)", 16),
        ("zip([1, 2], [3, 4])", ((1, 3), (2, 4))),
        ("enumerate([5, 6], 1)", ((1, 5), (2, 6))),
    ],
)
def test_expressions(expression: str, expected: Any) -> None:
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected) or isinstance(found, Dims)


def test_every_function_says_how_it_is_used() -> None:
    assert USAGE.keys() == FUNCTIONS.keys()
    for name, usage in USAGE.items():
        assert all(code.startswith(name) for code in re.findall(r"`([^`]+)`", usage))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("he_normal", Initialiser(distribution="he_normal")),
        ("he_normal(fan = out)", Initialiser(distribution="he_normal", fan="out")),
        ("variance_scaling(2)", Initialiser(distribution="variance_scaling", scale=2)),
        (
            "variance_scaling(1 / 2, fan = avg, distribution = truncated_normal)",
            Initialiser(distribution="variance_scaling", scale=0.5, fan="avg", form="truncated_normal"),
        ),
        (
            "variance_scaling(1, out, uniform)",
            Initialiser(distribution="variance_scaling", fan="out", form="uniform"),
        ),
        ("truncated_normal(0.02)", Initialiser(distribution="truncated_normal", scale=0.02)),
        ("normal(0.1, 2)", Initialiser(distribution="normal", scale=0.1, value=2)),
        ("uniform(-1, 3)", Initialiser(distribution="uniform", scale=2, value=1)),
        ("orthogonal(2)", Initialiser(distribution="orthogonal", scale=2)),
        ("constant(3)", Initialiser(distribution="constant", value=3)),
        ("0.5", Initialiser(distribution="constant", value=0.5)),
    ],
)
def test_initialisers(expression: str, expected: Initialiser) -> None:
    graph = model(f"conv(4, 3x3, init = {expression})")
    assert graph.layers[0].weights[0].init == expected


@pytest.mark.parametrize(
    "expression",
    [
        "variance_scaling",
        "variance_scaling()",
        "variance_scaling(-1)",
        "variance_scaling(1, fan = same)",
        "variance_scaling(1, distribution = orthogonal)",
        "variance_scaling(1, distribution = he_normal)",
        "he_normal(fan = avg)",
        "glorot_uniform(fan = out)",
    ],
)
def test_what_is_no_initialiser(expression: str) -> None:
    assert refusal(f"conv(4, 3x3, init = {expression})") in (["bad-call"], ["bad-argument"])


@pytest.mark.parametrize(
    ("expression", "scale", "shift"),
    [
        ("image / 4 - 1", 0.25, -1),
        ("image * 2 + n", 2, 3),
        ("(n * image) - 1", 3, -1),
        ("1 - 2 * image", -2, 1),
        ("n + image / 2", 0.5, 3),
        ("normed: image / 4 - 1", 0.25, -1),
    ],
)
def test_a_product_and_a_number_are_one_layer(expression: str, scale: float, shift: float) -> None:
    (node,) = model("n = 3", expression).layers
    assert node.layer == LAYERS["scale_shift"](scale=scale, shift=shift)  # type: ignore[call-arg]
    assert node.path == ("normed" if "normed" in expression else "scale_shift_1")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("image * 2 + image", ["scale_shift", "add"]),
        ("(image + 1) * 2", ["scale_shift", "scale_shift"]),
        ("image * 2 + 1 + 3", ["scale_shift", "scale_shift"]),
        ("image * image + 1", ["multiply", "scale_shift"]),
        ("image * 2 + (image -> relu)", ["scale_shift", "relu", "add"]),
        ("image * 2 + 2 * image", ["scale_shift", "scale_shift", "add"]),
    ],
)
def test_what_else_is_a_layer_for_each_sign(expression: str, expected: list[str]) -> None:
    assert kinds(model(expression)) == expected


# ---- scopes --------------------------------------------------------------------------------------------------------


def test_blocks_see_only_their_parameters() -> None:
    block = "block Unit(width = 4) {\n    conv(width, 3x3)\n}"
    assert outputs(model("width = 8", "Unit", blocks=block)) == {"output": "4x30x30"}
    assert refusal("filters = 8", "Unit", blocks="block Unit {\n    conv(filters, 3x3)\n}") == ["unknown-name"]


def test_a_default_may_use_the_parameters_before_it() -> None:
    block = "block Unit(width, inner = width // 2) {\n    conv(inner, 1x1) -> conv(width, 1x1)\n}"
    graph = model("Unit(8)", blocks=block)
    assert [show(graph.shape(node.outputs[0])) for node in graph.layers] == ["4x32x32", "8x32x32"]


def test_what_a_block_binds_stays_in_it() -> None:
    block = "block Unit {\n    input x\n    y = x -> relu\n    y\n}"
    assert refusal("Unit", "y -> relu", blocks=block) == ["unknown-name"]


def test_groups_see_the_names_around_them() -> None:
    graph = model("width = 8", "body: { conv(width, 3x3) -> relu }")
    assert paths(graph) == ["body.0", "body.1"]
    assert outputs(graph) == {"output": "8x30x30"}


def test_names_are_rebound_from_turn_to_turn() -> None:
    graph = model("n = 1", "x = image", "for _ in range(3) {", "n = n * 2", "x = x -> conv(n, 3x3)", "}", "x")
    assert [show(graph.shape(node.outputs[0])) for node in graph.layers] == ["2x30x30", "4x28x28", "8x26x26"]


def test_names_nest_one_level_in_loops() -> None:
    graph = model(
        "for i, (width, depth) in enumerate([(4, 1), (8, 2)]) {",
        "for j in range(depth) {",
        "conv{i}_{j}: conv(width, 1x1)",
        "}",
        "}",
        "for (a, b), c in [((1, 2), 3)] {",
        "last{a}{b}{c}: relu",
        "}",
    )
    assert paths(graph) == ["conv0_0", "conv1_0", "conv1_1", "last123"]
    loop = graph.root.body[0]
    assert isinstance(loop, Loop)
    assert loop.turns[1].variables == {"i": 1, "width": 8, "depth": 2}
    assert refusal("for i, (a, b) in [(1, 2)] {", "relu", "}") == ["not-several"]
    assert refusal("for i, (a, lambda) in [(1, (2, 3))] {", "relu", "}") == ["bad-name"]


def test_a_loop_runs_over_letters() -> None:
    graph = model(
        'letters = "ab"', "for letter in letters {", "conv_{letter}: conv(4, 1x1)", "}", "c{letters[1]}: relu"
    )
    assert paths(graph) == ["conv_a", "conv_b", "cb"]
    assert refusal('"ab"[2]', "relu") == ["bad-index"]


def test_strings_have_values_in_them() -> None:
    graph = model('name = "net"', '"{name}_1": relu', 'expect shape("{name}_{0 + 1}") == 3x32x32', 'v = "{name}{2}"')
    assert paths(graph) == ["net_1"]
    assert graph.root.names["v"] == "net2"
    assert refusal('"{image}_1" -> relu') == ["type-mismatch"]
    assert refusal("relu", 'expect shape("{name}") == 3x32x32') == ["unknown-name"]


def test_a_list_grows_in_a_loop() -> None:
    graph = model(
        "features = [image]",
        "for i in range(3) {",
        "features = features + [concat(features) -> layer{i}: conv(4, 1x1)]",
        "}",
        "concat(features)",
    )
    assert outputs(graph) == {"output": "15x32x32"}
    assert [len(node.inputs) for node in graph.layers if node.layer.kind == "concat"] == [1, 2, 3, 4]


def test_loops_and_branches_stay_in_the_graph() -> None:
    graph = model("for i, w in [(0, 4), (1, 8)] {", "if i == 0 {", "conv(w, 1x1)", "} else {", "relu", "}", "}")
    (loop,) = graph.root.body
    assert isinstance(loop, Loop)
    assert [turn.variables for turn in loop.turns] == [{"i": 0, "w": 4}, {"i": 1, "w": 8}]
    branches = [turn.body[0] for turn in loop.turns]
    assert [branch.taken for branch in branches if isinstance(branch, Branch)] == [0, 1]


def test_a_body_without_input_takes_the_flow() -> None:
    assert kinds(model("Unit", blocks="block Unit {\n    relu -> sigmoid\n}")) == ["relu", "sigmoid"]


def test_an_empty_block_gives_back_what_it_gets() -> None:
    assert kinds(model("Unit -> relu", blocks="block Unit {\n}")) == ["relu"]


# ---- layers as values ----------------------------------------------------------------------------------------------

VALUES = """\
block Plain(width, norm = batch_norm, act = relu) {
    conv(width, 1x1) -> norm -> act
}

block Deep(width, norm = batch_norm, act = relu) {
    conv(width, 1x1) -> norm -> act -> conv(width, 1x1)
}

block Stage(unit, width) {
    input x
    x -> unit(width, act = silu)
}
"""


def test_layers_and_blocks_are_parameters() -> None:
    assert kinds(model("Plain(4)", blocks=VALUES)) == ["conv", "batch_norm", "relu"]
    assert kinds(model("Plain(4, act = gelu, norm = identity)", blocks=VALUES)) == ["conv", "identity", "gelu"]
    assert kinds(model("Stage(Plain, 4)", blocks=VALUES)) == ["conv", "batch_norm", "silu"]
    assert kinds(model("Stage(unit = Deep, width = 4)", blocks=VALUES)) == ["conv", "batch_norm", "silu", "conv"]


def test_arguments_are_given_in_several_steps() -> None:
    graph = model("c = conv(bias = false)", "d = c(8)", "d(kernel = 3x3) -> d(1x1) -> c(4, 5x5, bias = true)")
    assert [(node.layer.filters, len(node.weights)) for node in graph.layers] == [(8, 1), (8, 1), (4, 2)]  # type: ignore[attr-defined]
    assert kinds(model("p = Plain(norm = identity)", "p(4)", blocks=VALUES)) == ["conv", "identity", "relu"]


def test_a_bound_layer_is_applied_anew_each_time() -> None:
    graph = model("c = conv(3, 1x1)", "c -> c -> c")
    assert paths(graph) == ["c_1", "c_2", "c_3"]
    assert graph.params == 3 * 12


def test_what_a_body_has_a_name_for_is_called_that() -> None:
    """So the names in a block are the same whatever it is given."""
    text = """
        block Twice(unit, width) { unit(width) -> unit(width) }
        block Unit(filters, act = relu) { conv(filters, 1x1) -> act }
        model M(norm = batch_norm) {
            input image: 3x8x8
            g = { conv(3, 1x1) -> norm(eps = 1e-3) }
            acts = [relu, tanh]
            g -> acts[0] -> acts[1]
            for act in acts { act -> Unit(3, act) -> group_norm(1) }
            Twice(conv(kernel = 1), 4) -> Twice(Unit, 4)
            relu(image -> g) -> named: acts[1]
        }
    """
    graph = load(text)
    assert [node.path for node in graph.layers] == [
        "g_1.conv_1", "g_1.norm_1", "acts_1", "acts_2",
        "act_1", "unit_1.conv_1", "unit_1.act_1", "group_norm_1",
        "act_2", "unit_2.conv_1", "unit_2.act_1", "group_norm_2",
        "twice_1.unit_1", "twice_1.unit_2",
        "twice_2.unit_1.conv_1", "twice_2.unit_1.act_1", "twice_2.unit_2.conv_1", "twice_2.unit_2.act_1",
        "g_2.conv_1", "g_2.norm_1", "relu_1", "named",
    ]  # fmt: skip


def test_a_group_is_named_as_the_body_names_it() -> None:
    assert paths(model("g = { relu }", "g -> { tanh } -> g")) == ["g_1.relu_1", "group_1.tanh_1", "g_2.relu_1"]


def test_a_group_is_a_value() -> None:
    assert paths(model("g = { conv(3, 1x1) -> relu }", "a: g -> b: g")) == ["a.0", "a.1", "b.0", "b.1"]


def test_layers_are_called_on_values() -> None:
    graph = model("a, b = split(image, [1, 2])", "concat(b, a, axis = 0) -> relu")
    assert kinds(graph) == ["split", "concat", "relu"]
    assert [node.operator for node in graph.layers] == [True, True, False]


def test_arithmetic_with_values_and_numbers() -> None:
    graph = model("y = image -> relu", "(image + y) * 2 - y / 4", "1 - y")
    arithmetic = [node.layer for node in graph.layers if node.operator]
    assert [layer.kind for layer in arithmetic] == ["add", "scale_shift", "scale_shift", "subtract", "scale_shift"]
    assert [(layer.scale, layer.shift) for layer in arithmetic if layer.kind == "scale_shift"] == [  # type: ignore[attr-defined]
        (2.0, 0.0), (0.25, 0.0), (-1.0, 1.0),
    ]  # fmt: skip


# ---- labels and paths ----------------------------------------------------------------------------------------------


def test_groups_number_their_children() -> None:
    graph = model("body: { conv(4, 3x3) -> identity -> named: relu -> { sigmoid } -> tanh }")
    assert paths(graph) == ["body.0", "body.1", "body.named", "body.2.0", "body.3"]


def test_unlabelled_layers_are_named_after_their_kind() -> None:
    block = "block BasicBlock {\n    relu -> conv(3, 1x1)\n}"
    graph = model("relu -> BasicBlock -> relu", "conv_1: conv(3, 1x1) -> conv(3, 1x1)", blocks=block)
    assert paths(graph) == ["relu_1", "basic_block_1.relu_1", "basic_block_1.conv_1", "relu_2", "conv_1", "conv_2"]


def test_labels_interpolate_nest_and_are_quoted() -> None:
    graph = model(
        "for i in range(2) {", 'layer{i}.{i + 1}: relu -> "block-{i}": tanh -> x{"y"}{i}: sigmoid', "if{i}: relu", "}"
    )
    assert paths(graph) == ["layer0.1", "block-0", "xy0", "if0", "layer1.2", "block-1", "xy1", "if1"]


def test_the_label_of_a_call_on_values() -> None:
    graph = model("both: concat(image, image) -> relu", "sum: image + image", "neg: -image")
    assert paths(graph) == ["both", "relu_1", "sum", "neg"]


def test_a_dotted_label_is_no_child_of_a_layer() -> None:
    assert refusal("a: relu -> a.b: relu") == ["duplicate-name"]
    assert refusal("a.b: relu -> a: relu") == ["duplicate-name"]
    assert paths(model("a.b: relu -> a.c: relu")) == ["a.b", "a.c"]


# ---- inputs and outputs --------------------------------------------------------------------------------------------


def test_several_inputs_and_outputs() -> None:
    graph = load(
        """
        block Mix {
            input a, b
            output a + b
            output b -> relu
        }

        model Net {
            input left: 3x8x8
            input right: 3x8x8
            sum, other = Mix(left, right)
            output sum
            output logits = other -> flatten -> dense(10)
            output other -> tanh, other -> relu
        }
        """
    )
    assert [port.name for port in graph.inputs] == ["left", "right"]
    assert outputs(graph) == {"sum": "3x8x8", "logits": "10", "output_3": "3x8x8", "output_4": "3x8x8"}
    (mix,) = [item for item in graph.root.body if isinstance(item, Scope)]
    assert (mix.definition, mix.input_names, len(mix.outputs)) == ("Mix", ("a", "b"), 2)


def test_auxiliary_outputs_stand_beside_the_result() -> None:
    graph = model(
        "conv(4, 3x3)", "auxiliary output aux = global_avg_pool -> flatten -> dense(5)", "relu -> flatten -> dense(10)"
    )
    assert [(port.name, port.auxiliary) for port in graph.outputs] == [("output", False), ("aux", True)]
    assert [node.layer.kind for node in graph.layers if node.auxiliary] == ["global_avg_pool", "flatten", "dense"]


def test_a_list_of_values_as_outputs() -> None:
    assert outputs(model("parts = split(image, 3)", "output parts")) == {f"parts_{i}": "1x32x32" for i in (1, 2, 3)}


def test_parameters_and_inputs_from_outside() -> None:
    text = "model Net(width = 4, act = relu) {\n    input image: 3x32x32\n    conv(width, 3x3) -> act\n}"
    assert outputs(load(text, width=8, inputs=(1, 5, 5))) == {"output": "8x3x3"}
    assert outputs(load(text, inputs={"image": (3, 3, 3)})) == {"output": "4x1x1"}
    with pytest.raises(TypeError, match="a parameter of a model cannot"):
        load(text, width=object())
    with pytest.raises(TypeError, match="at most"):
        load(text, width=10**5000)
    with pytest.raises(SpecError, match="has no parameter `widht`"):
        load(text, widht=8)
    with pytest.raises(SpecError, match="no size of an input"):
        load(text, inputs=(0, 5, 5))


def test_a_model_is_used_like_a_block() -> None:
    text = "model Inner {\n    input x: [C, H, W]\n    relu\n    expect layers == 1\n}\n"
    graph = api.loads(text + "model Outer {\n    input image: 3x8x8\n    Inner -> Inner\n}\n", "Outer")
    assert paths(graph) == ["inner_1.relu_1", "inner_2.relu_1"]


# ---- files ---------------------------------------------------------------------------------------------------------


def test_used_files(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    (tmp_path / "net.cnn").write_text(
        'use "blocks/a.cnn"\n\nmodel Net {\n    input image: 3x8x8\n    A -> B\n}\n', encoding="utf-8"
    )
    (tmp_path / "blocks" / "a.cnn").write_text('use "b.cnn"\n\nblock A {\n    B -> relu\n}\n', encoding="utf-8")
    # A cycle is harmless: every file is taken in once.
    (tmp_path / "blocks" / "b.cnn").write_text('use "a.cnn"\nuse "b.cnn"\n\nblock B {\n    tanh\n}\n', encoding="utf-8")
    graph = api.load(str(tmp_path / "net.cnn"))
    assert kinds(graph) == ["tanh", "relu", "tanh"]
    assert len(graph.sources) == 3


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.cnn").write_text("block A {\n    relu\n}\n", encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.cnn").symlink_to(tmp_path / "secret.cnn")
    (folder / "me").symlink_to(folder)
    net = folder / "net.cnn"
    net.write_text('use "link.cnn"\nmodel Net {\n    input image: 3x8x8\n    relu\n}\n', encoding="utf-8")
    with pytest.raises(SpecError, match=r"there is no file `link\.cnn`"):
        api.load(str(net))
    net.write_text('use "me/net.cnn"\nmodel Net {\n    input image: 3x8x8\n    relu\n}\n', encoding="utf-8")
    assert kinds(api.load(str(net))) == ["relu"]


def test_every_broken_file_is_told(tmp_path: Path) -> None:
    net = tmp_path / "net.cnn"
    net.write_text(
        'use "a.cnn"\nuse "b.cnn"\nuse "c.cnn"\nmodel Net {\n    input x: 3\n    relu\n}\n', encoding="utf-8"
    )
    (tmp_path / "a.cnn").write_text("block A {\n", encoding="utf-8")
    (tmp_path / "b.cnn").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError) as caught:
        api.load(str(net))
    assert [d.code for d in caught.value.diagnostics] == ["unclosed-bracket", "not-text", "missing-file"]


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "a\0b.cnn", ""])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(SpecError):
        loading.find(name)


# ---- budgets -------------------------------------------------------------------------------------------------------


def test_layers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "MOST_LAYERS", 10)
    assert refusal("for _ in range(11) {", "relu", "}") == ["too-many-layers"]
    assert len(model("for _ in range(10) {", "relu", "}").layers) == 10


def test_errors_and_warnings_are_bounded() -> None:
    assert len(refusal(*(f"undefined{i}" for i in range(200)))) == application.MOST_ERRORS
    text = "model Net {\n    input image: 3x8x8\n" + "".join(f"    a{i} = {i}\n" for i in range(200)) + "    relu\n}\n"
    checked = api.check(loading.parse_all(loading.Spec(text, "net.cnn", None, None)))
    assert len(checked.diagnostics) == application.MOST_WARNINGS
    claims = "    expect params == 1\n" * 200
    checked = api.check(
        loading.parse_all(loading.Spec(text.replace("    relu\n", "    relu\n" + claims), "net.cnn", None, None))
    )
    assert sum(d.code == "expectation-failed" for d in checked.diagnostics) == 50


def test_a_stack_that_is_almost_used_up_gives_a_diagnostic() -> None:
    blocks = "".join(f"block B{i} {{\n    input x\n    x -> B{i + 1}\n}}\n" for i in range(35))
    blocks += "block B35 {\n    relu\n}\n"

    def deeper(frames: int) -> list[str]:
        return deeper(frames - 1) if frames else refusal("B0", blocks=blocks)

    # Others that run in this process may have raised the limit.
    assert deeper(sys.getrecursionlimit() - len(inspect.stack(0)) - 200) == ["nesting-too-deep"]
    assert kinds(model("B0", blocks=blocks)) == ["relu"]


def test_a_loop_without_layers_leaves_nothing() -> None:
    assert not any(
        isinstance(item, Loop) for item in model("for i in range(9) {", "n = i", "}", "conv(n, 1x1)").root.body
    )


def test_the_limit_of_turns_is_the_same_for_lists_and_loops() -> None:
    assert expander.MOST_TURNS == 200_000
    assert refusal("for _ in range(200_001) {", "relu", "}") == ["too-many-turns"]


# ---- symbolic sizes ------------------------------------------------------------------------------------------------


def test_symbolic_sizes_pass_through_layers() -> None:
    graph = model("conv(8, 3x3) -> max_pool(2x2) -> conv(4, 3x3, pad = same) -> upsample(2)", shape="[1, H, W]")
    assert outputs(graph) == {"output": "[4, 2 * (H // 2) - 2, 2 * (W // 2) - 2]"}
    assert Graph.model_validate_json(graph.model_dump_json()) == graph


def test_symbolic_sizes_that_are_equal_add_up() -> None:
    graph = model(
        "y = image -> conv(3, 3x3, pad = 1)", "image + y", "expect shape(y) == image.shape", shape="[3, H, W]"
    )
    assert outputs(graph) == {"output": "[3, H, W]"}


NAMES = ("H", "W")
SIZES = st.fixed_dictionaries({name: st.integers(1, 300) for name in NAMES})


@st.composite
def formulas(draw: st.DrawFn, depth: int = 4) -> str:
    """An expression of `+ - * //` over H, W and numbers; divisors are numbers of at least 1."""
    if not depth or draw(st.booleans()):
        return draw(st.sampled_from([*NAMES, "1", "2", "3", "7"]))
    left = draw(formulas(depth=depth - 1))
    operator = draw(st.sampled_from(["+", "-", "*", "//"]))
    right = str(draw(st.integers(1, 9))) if operator == "//" else draw(formulas(depth=depth - 1))
    return f"({left} {operator} {right})"


@given(formulas(), SIZES)
def test_symbolic_arithmetic_is_ordinary_arithmetic(formula: str, sizes: dict[str, int]) -> None:
    names: dict[str, Dim] = {name: Symbolic.of(name) for name in NAMES}
    found = eval(formula, {"__builtins__": {}}, names)
    # What a symbolic size is written as is itself an expression that can be evaluated.
    assert eval(str(found), {"__builtins__": {}}, dict(sizes)) == eval(formula, {"__builtins__": {}}, dict(sizes))


@given(formulas(), formulas())
def test_equal_formulas_are_equal_sizes(left: str, right: str) -> None:
    names: dict[str, Dim] = {name: Symbolic.of(name) for name in NAMES}
    a, b = (eval(text, {"__builtins__": {}}, names) for text in (left, right))
    assert a + b == b + a
    assert a * b == b * a
    assert a - a == 0
    assert hash(a + b) == hash(b + a)


def test_a_word_may_be_a_layers_name_too() -> None:
    graph = load("model M { input x: 4\n gelu(approximate = tanh) }")
    assert graph.layers[0].layer == LAYERS["gelu"](approximate="tanh")
