"""The levels of the cross-check on real targets: gradients, steps of training, and each layer alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

import cnnspec
from cnnspec.backend import backend
from cnnspec.graph import Graph
from cnnspec.verify import Report, verify
from support.layers_alone import compare
from support.residents import Residents

SPEC = """
block Residual(width) {
    input x
    y = x -> conv(width, 3x3, pad = 1, bias = false) -> batch_norm -> relu -> conv(width, 3x3, pad = 1) -> batch_norm
    x + y -> relu
}

model Net {
    input image: 3x12x12
    input other: 4
    image -> stem: conv(6, 3x3, stride = 2, pad = 1) -> bn: batch_norm -> act: leaky_relu(0.1)
          -> max_pool(3x3, stride = 2, pad = 1)
    one: Residual(6)
    h = flatten -> features: dense(4)
    auxiliary output extra = h -> head: dense(3)
    output scores = (h + other) -> fc: dense(5)
}
"""
HARD = """
model Hard {
    input image: 3x8x8
    conv1: conv(6, 3x3, pad = 1) -> hard_sigmoid -> conv2: conv(4, 3x3) -> hard_swish -> flatten -> fc: dense(5)
}
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return cnnspec.loads(SPEC)


def checked(graph: Graph, *targets: str, **options: Any) -> Report:
    return verify(graph, targets=["reference", *targets], **options)


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow", "keras-jax", "keras-torch"])
def test_training_agrees(graph: Graph, target: str) -> None:
    report = checked(graph, target, level="train")
    assert report.ok, report.as_text()
    exact = [row for row in report.compared if row.precision == "float64"]
    assert max(max(row.comparison.errors.values()) for row in exact) < 1e-11
    assert {len(row.comparison.steps) for row in report.courses} == {5, 1}


@pytest.mark.soak
def test_compiled_torch_agrees(graph: Graph) -> None:
    if backend("torch").missing("torch-compile"):
        pytest.skip("there is no compiler")
    report = checked(graph, "torch", "torch-compile")
    assert report.ok, report.as_text()


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow", "keras-jax", "keras-torch"])
def test_layers_run_alone_as_the_definition_has_them(graph: Graph, target: str, residents: Residents) -> None:
    seen, difference = residents.of(target).call(compare, SPEC, target)
    assert seen >= len(graph.layers) * (0.5 if target == "torch" else 1)
    assert difference < 1e-11


def test_a_rounded_constant_of_torch_is_told(graph: Graph) -> None:
    report = checked(cnnspec.loads(HARD), "torch", "keras-tensorflow")
    assert report.ok, report.as_text()
    worst = {row.target: max(row.comparison.errors.values()) for row in report.slopes if row.precision == "float64"}
    assert 1e-9 < worst["torch"] < 1e-7
    assert worst["keras-tensorflow"] < 1e-13
    assert "torch rounds a constant of gradients to float32" in report.as_text()


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        pytest.param("eps=1e-5", "eps=2e-5", "its output", id="epsilon"),
        pytest.param("nn.LeakyReLU(0.1)", "nn.LeakyReLU(0.1001)", "its output", id="slope"),
    ],
)
def test_the_layer_at_fault_is_named(graph: Graph, before: str, after: str, what: str) -> None:
    source = backend("torch").emit(graph, [])
    assert before in source
    report = checked(graph, "torch", sources={"torch": source.replace(before, after)})
    assert not report.ok
    first = report.searches["torch"].faults[0]
    assert first.path in ("bn", "act")
    assert first.what == what
    assert f"torch has `{first.path}` wrong by itself" in report.as_text()


ZERO = """
model Zero {
    input image: 3x8x8
    image -> one: conv(6, 3x3) -> batch_norm -> batch_norm -> relu
          -> two: conv(6, 3x3) -> batch_norm -> instance_norm -> flatten -> fc: dense(5)
}
"""


def test_gradients_that_are_zero_but_for_rounding(graph: Graph) -> None:
    report = checked(cnnspec.loads(ZERO), "torch", "keras-tensorflow", level="train")
    assert report.ok, report.as_text()
    for target in ("torch", "keras-tensorflow"):
        (row,) = (row for row in report.slopes if (row.target, *row.setting) == (target, "float64", "training"))
        assert {"one.bias", "two.bias"} <= row.comparison.excused.keys()
        assert all(size <= 1 for size in row.comparison.excused.values())
    assert "zero but for rounding" in report.as_text()


def test_steps_that_only_rounding_excuses(graph: Graph) -> None:
    """Norms over two values have gradients that are rounding alone, of which Adam makes steps of its usual length."""
    layers = " -> ".join(["dense(2) -> layer_norm(eps = 1e-12)"] * 8)
    text = f"model Noise {{ input image: 3x2x2\n flatten -> {layers} -> dense(3) }}"
    report = checked(cnnspec.loads(text), "torch", level="train")
    assert report.ok, report.as_text()
    excused = {row.course.method: row.comparison.excused for row in report.courses if row.target == "torch"}
    assert excused["adam"]
    some = next(iter(excused["adam"]))
    assert (
        f"torch (float64 adam): {len(excused['adam'])} arrays judged by 1000 times what one rounding of every value"
        f" makes of reference's, such as `{some}`"
    ) in report.as_text()


def test_layers_alone_in_float32(graph: Graph) -> None:
    """Whatever the network's code has in an expression runs in code of its own."""
    targets = ["torch", "keras-tensorflow"]
    if not backend("torch").missing("torch-compile"):
        targets.append("torch-compile")
    report = checked(graph, *targets)
    assert report.ok, report.as_text()
    for target in targets:
        singles = report.singles[target]
        assert sum({one.path: one.alike for one in singles}.values()) == len(graph.layers)
        in_expressions = {one.path for one in singles if not one.own}
        assert bool(in_expressions) == (target != "keras-tensorflow")
        assert (len(in_expressions) == len({one.path for one in singles})) == (target == "torch-compile")
        assert max(one.output for one in singles) < 3e-6
        assert max(error for one in singles for error in one.gradients.values()) < 3e-5
        kinds_with_weights = {one.path for one in singles if one.steps}
        assert {"stem", "bn", "features", "head", "fc"} <= kinds_with_weights


def test_norms_over_few_values_in_float32() -> None:
    """Float32 leaves no digit of the gradient of a norm over two values: its measure is the definition in float32."""
    text = "model Few { input image: 4x1x2\n instance_norm(affine = true) -> flatten -> dense(3) -> batch_norm }"
    report = checked(cnnspec.loads(text), "torch", "keras-tensorflow", batch=2)
    assert report.ok, report.as_text()


def test_what_only_float32_shows(graph: Graph) -> None:
    source = backend("torch").emit(graph, [])
    short = (
        "class Short(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return F.leaky_relu(x.bfloat16().float() if x.dtype == torch.float32 else x, 0.1)\n\n\n"
    )
    changed = source.replace("nn.LeakyReLU(0.1)", "Short()").replace("class ", f"{short}class ", 1)
    assert "Short()" in changed
    report = checked(graph, "torch", sources={"torch": changed})
    assert all(row.verdict.ok for row in report.rows if row.precision == "float64")
    assert all(row.comparison.ok for row in report.compared)
    assert not report.ok
    assert "torch has `act` wrong in float32 alone" in report.as_text()


def test_a_gradient_that_goes_missing_is_seen(graph: Graph) -> None:
    source = backend("torch").emit(graph, [])
    changed = re.sub(r"self\.features\((.*)\)", r"self.features((\1).detach())", source)
    assert changed != source
    report = checked(graph, "torch", sources={"torch": changed})
    assert all(row.verdict.ok for row in report.rows)
    assert not report.ok
    assert "torch and reference disagree about the gradients from" in report.as_text()
