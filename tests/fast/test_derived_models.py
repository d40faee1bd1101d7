"""Derived models: one body for siblings, each under its own name and with its own parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cnnspec import api, loading, zoo
from cnnspec.diagnostics import Diagnostic, SpecError, render
from cnnspec.expand import stands_alone
from cnnspec.graph import Graph, Scope
from cnnspec.syntax.parse import parse

FAMILY = """\
block Unit(width) {
    conv: conv(width, 3x3, pad = 1) -> relu
}

model Net(unit, depths, classes, width = 8) {
    input image: 3x8x8

    for i, depth in enumerate(depths, 1) {
        for j in range(depth) {
            layer{i}.{j}: unit(width)
        }
    }
    global_avg_pool -> flatten -> fc: dense(classes)

    expect shape(fc) == [classes]
    expect shape(layer1.0) == 8x8x8
}

model Small(classes = 10) = Net(Unit, [1, 2], classes) {
    expect params == 1482
    expect classes == 10
}

model Tiny = Small(3)

model Wide(factor = 2) = Net(Unit, [1], classes = 10, width = 8 * factor)
"""


def load(text: str, model: str | None = None, **parameters: Any) -> Graph:
    return api.loads(text, model, **parameters)


def diagnostics(text: str, model: str | None = None, **parameters: Any) -> list[Diagnostic]:
    parsed = loading.parse_all(loading.Spec(text, "t.cnn", None, None))
    return api.check(parsed, model=model, parameters=parameters).diagnostics


def test_a_derived_model_is_its_base_under_another_name() -> None:
    base = load(FAMILY.replace("unit, depths, classes,", "unit = Unit, depths = [1, 2], classes = 10,"), "Net")
    small = load(FAMILY, "Small")
    assert [(node.path, node.layer) for node in small.layers] == [(node.path, node.layer) for node in base.layers]
    assert (small.name, small.root.definition, small.root.path) == ("Small", "Small", "")
    assert small.parameters == small.root.arguments == {"classes": 10}
    assert small.root.names["depths"] == (1, 2)
    assert Graph.model_validate_json(small.model_dump_json()) == small


def test_it_has_parameters_of_its_own() -> None:
    assert load(FAMILY, "Small", classes=5).parameters == {"classes": 5}
    assert load(FAMILY, "Small", classes=5).values[-1] == (5,)
    assert load(FAMILY, "Wide", factor=3).params == load(FAMILY, "Wide").params + 3 * 9 * 8 + 8 + 8 * 10
    (refused,) = diagnostics(FAMILY, "Small", width=4)
    assert (refused.code, refused.help) == ("unknown-argument", "it takes `classes`")


def test_a_derived_model_can_be_derived_from() -> None:
    tiny = load(FAMILY, "Tiny")
    assert (tiny.name, tiny.parameters, tiny.values[-1]) == ("Tiny", {}, (3,))


def test_a_used_file_lends_its_models(tmp_path: Path) -> None:
    (tmp_path / "family.cnn").write_text(FAMILY, encoding="utf-8")
    spec = tmp_path / "mine.cnn"
    spec.write_text('use "family.cnn"\n\nmodel Mine(classes = 4) = Small(classes)\n', encoding="utf-8")
    assert api.load(str(spec)).values[-1] == (4,)


def test_the_zoo_can_be_derived_from(tmp_path: Path) -> None:
    spec = tmp_path / "mine.cnn"
    spec.write_text('use "torchvision/resnet.cnn"\n\nmodel Mine(classes = 10) = ResNet18(classes)\n', encoding="utf-8")
    assert api.load(str(spec)).params == 11_689_512 - 513 * 990


def test_a_derived_model_can_be_used_as_a_block() -> None:
    text = FAMILY + "model Outer {\n    input x: 3x8x8\n    body: Small(4) -> relu\n}\n"
    outer = load(text, "Outer")
    (scope,) = [item for item in outer.root.body if isinstance(item, Scope)]
    assert (scope.definition, scope.arguments, outer.layers[0].path) == ("Small", {"classes": 4}, "body.layer1.0.conv")


def test_generated_code_keeps_its_parameters() -> None:
    graph, probes = api.load_for_compiling(loading.Spec(FAMILY, "t.cnn", "Small", None))
    assert len({probe.parameters["classes"] for probe in probes} - {10}) == len(probes) > 2
    assert {probe.name for probe in probes} == {graph.name} == {"Small"}


# ---------------------------------------------------------------------------------------------------- claims


def test_claims_of_both_are_checked() -> None:
    wrong = FAMILY.replace("params == 1482", "params == 1").replace("== 8x8x8", "== 9x8x8")
    assert [(d.code, d.span.line) for d in diagnostics(wrong, "Small")] == [
        ("expectation-failed", 20),
        ("expectation-failed", 16),
    ]


def test_claims_see_their_own_parameters_only() -> None:
    wrong = FAMILY.replace("expect classes == 10", "expect width == 8")
    assert [d.code for d in diagnostics(wrong, "Small")] == ["unknown-name"]


@pytest.mark.parametrize("argument", ["", ", width = 8", ", width = 2 * 4"])
def test_claims_of_a_base_with_its_defaults(argument: str) -> None:
    wrong = FAMILY.replace("classes) {", f"classes{argument}) {{").replace("shape(fc) == [classes]", "params == 0")
    assert [d.code for d in diagnostics(wrong, "Small")] == ["expectation-failed"]


@pytest.mark.parametrize("argument", ["width = 16", "width = 8 + classes"])
def test_claims_of_a_base_are_not_about_other_values(argument: str) -> None:
    text = FAMILY + f"model Other(classes = 2) = Net(Unit, [1], classes, {argument}) {{\n    expect macs > 0\n}}\n"
    assert diagnostics(text, "Other") == []


def test_a_layer_given_for_a_default_layer_is_another_value() -> None:
    text = "model A(act = relu) {\n    input x: 8\n    act\n    expect params == 0\n}\n\nmodel B = A(prelu)\n"
    assert diagnostics(text, "A") == diagnostics(text, "B") == []


# ---------------------------------------------------------------------------------------------------- standing alone


def test_a_model_that_needs_arguments_is_no_choice() -> None:
    one = FAMILY[: FAMILY.index("model Tiny")]
    assert load(one).name == "Small"
    (several,) = diagnostics(FAMILY)
    assert (several.code, several.help) == ("several-models", "choose one with `--model`: Small, Tiny, Wide")


def test_asked_for_by_name_it_says_what_it_needs() -> None:
    (missing,) = diagnostics(FAMILY, "Net")
    assert (missing.code, missing.message) == (
        "missing-argument",
        "the model `Net` needs `unit` and `depths` and `classes`",
    )
    assert missing.help == (
        "give it `--set unit=... --set depths=... --set classes=...`, "
        "or choose a model that derives from it: Small, Wide"
    )


def test_with_all_its_arguments_it_works() -> None:
    text = "model Net(depth, classes) {\n    input x: 8\n    for _ in range(depth) { dense(classes) }\n}\n"
    assert load(text, depth=2, classes=3).params == 27 + 12
    assert [d.code for d in diagnostics(text, depth=2)] == ["missing-argument"]
    (model,) = parse(text, "t.cnn").definitions
    assert stands_alone(model, ["depth", "classes"])


def test_the_zoo_lists_what_stands_alone() -> None:
    alone = {
        (definition.name.text, path)
        for path in zoo.folder().rglob("*.cnn")
        for definition in loading.parse_all(loading.find(str(path))).files[0].definitions
        if definition.keyword == "model" and stands_alone(definition)
    }
    assert {(network.name, network.path) for network in zoo.models().values()} == alone


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("model A {", True),
        ("model A() {", True),
        ("model A = B", True),
        ("model A(a) {", False),
        ("model A(a, b = 1) = B(3) {", False),
        ("model A(a = 1, b = [1, (2, 3)]) = B(3, 4)", True),
        ("model A(\n    a = 1,  # x, y\n    b,\n) {", False),
        ("model A(a = round_to(1, 2),) {", True),
    ],
)
def test_standing_alone_is_read_off_the_text(text: str, alone: bool) -> None:
    ((name, parameters),) = zoo.MODEL.findall(text)
    assert (name, zoo.stands_alone(parameters)) == ("A", alone)


# ---------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("definitions", "code", "says"),
    [
        ("model M = M", "recursive-block", "M from M"),
        ("model M = N\nmodel N = M", "recursive-block", "M from N from M"),
        ("model M = N\nmodel N { input x: 8\n M }", "recursive-block", "M in N in M"),
        ("model M = Nott\nmodel Not { input x: 8\n relu }", "unknown-name", "`Not`"),
        ("model M = relu", "unknown-name", "no model `relu`"),
        ("block B { relu }\nmodel M = B", "bad-base", "which is a block"),
        ("model M = N(3)\nmodel N { input x: 8\n relu }", "too-many-arguments", "takes no arguments"),
        ("model M = N(w = 3)\nmodel N(width) { input x: 8\n dense(width) }", "unknown-argument", "`width`"),
        ("model M = N\nmodel N(width) { input x: 8\n dense(width) }", "missing-argument", "needs `width`"),
        ("model M = N(parameter(3, init = ones))\nmodel N(p) { input x: 8\n p }", "bad-argument", "cannot be a value"),
        ("model M = N(x)\nmodel N(width) { input x: 8\n dense(width) }", "unknown-name", "`x`"),
        ("model M(a = 1 // 0) = N(a, a)\nmodel N(b) { input x: 8\n dense(b) }", "division-by-zero", ""),
        ("model M = N(0)\nmodel N(width) { input x: 8\n dense(width) }", "bad-argument", "in this use of `N`"),
        ("model M = N\nmodel N { relu }", "no-input", "the model `N` has no input"),
        ("model M(unread = 1) = N\nmodel N { input x: 8\n relu }", "unused-name", "`unread`"),
    ],
)
def test_what_is_wrong_with_it(definitions: str, code: str, says: str) -> None:
    found = diagnostics(definitions, "M")
    assert [d.code for d in found] == [code]
    assert says in render(found, {"t.cnn": definitions})


def test_a_group_sees_the_names_of_the_derived_model() -> None:
    text = """\
model Net(stem, width) {
    input x: 8
    stem: stem
    dense(width)
}

model Mine(width = 5) = Net({ dense(width) }, 2 * width)
"""
    assert [node.outputs for node in load(text, "Mine").layers] == [(1,), (2,)]
    assert load(text, "Mine").values[1:] == ((5,), (10,))


def test_a_problem_of_a_sibling_is_told_with_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        load(FAMILY.replace("[1, 2]", "[1, 2.5]"), "Small")
    (found,) = caught.value.diagnostics
    assert (found.code, [note.line for note, _ in found.notes]) == ("bad-call", [19])
