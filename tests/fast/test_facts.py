"""Receptive fields, activation memory, training cost, and the reports that show them."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from cnnspec import api
from cnnspec.facts.memory import activation_memory
from cnnspec.facts.receptive_field import Field, receptive_fields
from cnnspec.facts.report import as_data, as_html, as_text, as_totals, rows
from cnnspec.facts.training import training_macs
from cnnspec.graph import Graph


def model(body: str, input: str = "input x: 1x32x32") -> Graph:
    return api.loads(f"model Net {{\n{input}\n{body}\n}}")


def last_field(graph: Graph, input: str | None = None) -> Field:
    return receptive_fields(graph, input)[graph.outputs[0].value]


def field_of(body: str, input: str = "input x: 1x32x32") -> Field:
    return last_field(model(body, input))


# ---- receptive fields -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "size", "stride", "offset"),
    [
        ("relu", 1, 1, 0),
        ("conv(1, 3x3)", 3, 1, 0),
        ("conv(1, 3x3, pad = 1)", 3, 1, -1),
        ("conv(1, 3x3, dilation = 2)", 5, 1, 0),
        ("conv(1, 3x3) -> conv(1, 3x3)", 5, 1, 0),
        ("max_pool(2x2) -> conv(1, 3x3, pad = 1)", 6, 2, -2),
        ("conv(1, 7x7, stride = 2, pad = 3) -> max_pool(3x3, stride = 2, pad = 1)", 11, 4, -5),
        ("crop(2) -> conv(1, 3x3)", 3, 1, 2),
        # Twice as many positions, half as far apart: 3 of them reach over 2 inputs.
        ("upsample(2) -> conv(1, 3x3, pad = 1)", 2, Fraction(1, 2), Fraction(-1, 2)),
        ("max_pool(2x2) -> upsample(2)", 2, 1, 0),
        # One sees position 2 alone, the other 0 to 4.
        ("(x -> crop(2)) + (x -> conv(1, 5x5))", 5, 1, 0),
        ("(x -> crop([(0, 2), (0, 2)])) + (x -> crop([(2, 0), (2, 0)]))", 3, 1, 0),
        ("concat(x, x -> conv(1, 5x5, pad = 2))", 5, 1, -2),
    ],
)
def test_field(body: str, size: int, stride: int | Fraction, offset: int | Fraction) -> None:
    assert field_of(body) == Field((size,) * 2, (stride,) * 2, (offset,) * 2)


@pytest.mark.parametrize(
    ("name", "path", "size"), [("resnet50", "layer4.2.relu_3", 427), ("vgg16", "features.30", 212)]
)
def test_field_is_the_one_in_the_literature(name: str, path: str, size: int) -> None:
    """Araujo, Norris and Sim (2019), table of networks; for ResNet-50 with its stride on the 3x3 convolution."""
    graph = api.load(name)
    (node,) = [node for node in graph.layers if node.path == path]
    assert receptive_fields(graph)[node.outputs[0]].size == (size, size)


def test_field_of_unequal_axes() -> None:
    assert field_of("conv(1, 3x5)").size == (3, 5)
    assert str(field_of("conv(1, 3x5)")) == "3x5"


@pytest.mark.parametrize("body", ["flatten", "global_avg_pool", "conv(1, 3x3) -> flatten -> dense(2) -> relu"])
def test_whole_input(body: str) -> None:
    field = field_of(body)
    assert field.whole
    assert field.size == (32, 32)
    assert str(field) == "all"


def test_a_value_scaled_by_a_pooled_one_sees_everything() -> None:
    assert field_of("scale = x -> global_avg_pool -> sigmoid\nx * scale").whole


def test_a_learned_vector_sees_nothing_and_adds_nothing() -> None:
    graph = model("scale = parameter([1, 1, 1], init = 1)\n(x -> conv(1, 3x3)) * scale")
    assert last_field(graph).size == (3, 3)
    (constant,) = [node for node in graph.layers if node.layer.kind == "parameter"]
    assert receptive_fields(graph)[constant.outputs[0]].size == (0, 0)


def test_field_of_paths_with_unequal_strides_covers_both_everywhere() -> None:
    # 8 positions two apart that see 2 inputs each, and 8 positions one apart that see one each.
    field = field_of("(x -> max_pool(2x2)) + (x -> crop([(0, 8), (0, 8)]))", "input x: 1x16x16")
    (size, _), (stride, _), (offset, _) = field.size, field.stride, field.offset
    for position in range(8):
        start = offset + position * stride
        assert start <= min(2 * position, position)
        assert start + size >= max(2 * position + 2, position + 1)


def test_fields_of_several_inputs() -> None:
    graph = model("(a -> conv(1, 3x3, pad = 1)) + (b -> conv(1, 5x5, pad = 2))", "input a: 1x8x8\ninput b: 1x8x8")
    assert last_field(graph, "a").size == (3, 3)
    assert last_field(graph, "b").size == (5, 5)
    assert last_field(graph) == last_field(graph, "a")


def test_field_of_one_and_three_axes() -> None:
    assert field_of("conv(1, 3) -> conv(1, 3)", "input x: 1x32").size == (5,)
    assert field_of("conv(1, 3)", "input x: 1x8x8x8").size == (3, 3, 3)


def test_field_of_a_vector_has_no_axes() -> None:
    assert field_of("relu", "input x: 8").size == ()
    assert str(field_of("relu", "input x: 8")) == "itself"
    assert field_of("dense(2)", "input x: 8").whole


def test_field_with_symbolic_sizes() -> None:
    assert field_of("conv(1, 3x3) -> max_pool(2x2)", "input x: [1, H, W]").size == (4, 4)
    # A bilinear step depends on the sizes: the whole input is the upper bound.
    assert field_of("upsample(size = 64x64, mode = bilinear)", "input x: [1, H, W]").whole


# ---- memory and cost --------------------------------------------------------------------------------------------


def test_activation_memory() -> None:
    # 8 values, then 16, then 4; the first step holds 8 and 16, the second 16 and 4.
    memory = activation_memory(model("dense(16) -> dense(4)", "input x: 8"))
    assert memory.training == 28
    assert memory.inference == 24


def test_a_value_is_held_until_its_last_use() -> None:
    memory = activation_memory(model("y = x -> relu -> relu -> relu\nx + y", "input x: 10"))
    assert memory.training == 50
    assert memory.inference == 30


def test_memory_of_symbolic_sizes() -> None:
    memory = activation_memory(model("conv(2, 3x3, pad = 1)", "input x: [1, H, 4]"))
    assert str(memory.training) == "12 * H"
    assert memory.inference is None


def test_training_macs_leave_out_the_gradient_of_the_input() -> None:
    graph = model("first: dense(10) -> relu -> second: dense(2)", "input x: 5")
    assert training_macs(graph) == {"first": 2 * 50, "relu_1": 0, "second": 3 * 20}


def test_training_macs_behind_a_trained_constant() -> None:
    graph = model("y = x + parameter([5], init = 1)\ny -> only: dense(10)", "input x: 5")
    assert training_macs(graph)["only"] == 3 * 50


# ---- reports ----------------------------------------------------------------------------------------------------

SMALL = """
block Unit(width) {
    input x
    x -> conv(width, 3x3, pad = 1, bias = false) -> batch_norm -> relu
}
model Small(classes = 2) {
    input image: 1x8x8
    for i in range(2) { stage.{i}: Unit(4) }
    head: { flatten -> dense(classes) }
}
"""


def test_text_of_every_layer() -> None:
    assert (
        as_text(api.loads(SMALL))
        == """\
Small(classes = 2)

layer             kind        output  params   MACs  field
----------------  ----------  ------  ------  -----  -----
image             input       1x8x8
stage             2 x Unit
  0               Unit
    conv_1        conv 3x3    4x8x8       36  2,304      3
    batch_norm_1  batch_norm  4x8x8        8             3
    relu_1        relu        4x8x8                      3
  1               Unit
    conv_1        conv 3x3    4x8x8      144  9,216      5
    batch_norm_1  batch_norm  4x8x8        8             5
    relu_1        relu        4x8x8                      5
head
  0               flatten     256                      all
  1               dense       2          514    512    all

parameters   710 trainable, 16 running statistics
MACs         12,032 forward, 33,792 in a training step
activations  7.4 kB in training, at most 2.0 kB at once in inference (one sample, float32)"""
    )


def test_text_folded() -> None:
    assert as_text(api.loads(SMALL), depth=1).splitlines()[2:7] == [
        "layer  kind            output  params    MACs  field",
        "-----  --------------  ------  ------  ------  -----",
        "image  input           1x8x8",
        "stage  2 x Unit        4x8x8      196  11,520      5",
        "head   flatten, dense  2          514     512    all",
    ]


@pytest.mark.parametrize("depth", [None, 1, 2, 3])
def test_folding_loses_nothing(depth: int | None) -> None:
    graph = api.load("googlenet")

    def total(texts: list[str]) -> int:
        return sum(int(text.replace(",", "")) for text in texts if text)

    assert total([row.params for row in rows(graph, depth)]) == graph.params
    assert total([row.macs for row in rows(graph, depth)]) == graph.macs


def test_totals() -> None:
    assert as_totals(api.loads(SMALL)).splitlines()[:2] == ["Small(classes = 2): 1x8x8 -> 2", "  layers       8"]


def test_html_has_every_layer_and_escapes() -> None:
    graph = api.load("resnet18")
    html = as_html(graph)
    assert html.count("<details>") == html.count("</details>")
    assert html.count("BasicBlock</span>") >= 8
    assert "11,689,512" in html
    assert "&lt;b&gt;" in as_html(api.loads('model Net(text = "<b>") {\ninput x: 4\nif text == "" { relu }\nrelu\n}'))
    assert graph._repr_html_() == html
    assert str(graph) == as_text(graph)


def test_data_keys_and_json() -> None:
    data = json.loads(json.dumps(as_data(api.load("resnet18"))))
    assert {"model", "params", "trainable_params", "macs", "inputs", "outputs", "layers"} <= data.keys()
    assert data["params"] == data["trainable_params"] == sum(data["params_by_kind"].values()) == 11_689_512
    assert data["inputs"] == [{"name": "image", "shape": [3, 224, 224]}]
    first = data["layers"][0]
    assert {"path", "kind", "output", "params", "macs"} <= first.keys()
    assert first["path"] == "conv1"
    assert first["output"] == [64, 112, 112]
    assert first["receptive_field"] == {"size": [7, 7], "stride": [2, 2], "offset": [-3, -3], "whole": False}


def test_reports_of_symbolic_sizes() -> None:
    graph = model("conv(16, 3x3, pad = 1) -> max_pool(2x2) -> conv(4, 3x3, pad = 1)", "input x: [1, H, W]")
    data = json.loads(json.dumps(as_data(graph)))
    assert data["macs"] == str(graph.macs)
    assert data["inputs"][0]["shape"] == [1, "H", "W"]
    assert "144 * H * W" in as_text(graph)
    assert "[1, H, W] -> [4, H // 2, W // 2]" in as_totals(graph)
    assert as_html(graph)


def test_auxiliary_layers_are_marked() -> None:
    graph = model("auxiliary output early = x -> dense(3)\ndense(2)", "input x: 8")
    assert "dense (auxiliary)" in as_text(graph)
    assert "16 forward without auxiliary heads, 80 in a training step" in as_totals(graph)


def test_a_long_label_widens_no_other_row() -> None:
    text = as_text(model(f"{'a' * 200}: relu -> b: relu", "input x: 8"))
    assert max(len(line) for line in text.splitlines() if "aaa" not in line) < 150


def test_a_label_with_many_dots_is_no_trouble() -> None:
    label = '"' + ".".join(["a"] * 100) + '"'
    graph = model(f"{label}: {{ " * 40 + "relu" + " }" * 40, "input x: 8")
    assert len(rows(graph)) < 200
    assert as_html(graph)
