"""The levels of the cross-check without a framework: gradients and training of a toy that makes mistakes to order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

import cnnspec
from cnnspec.backend import Gradients, Runtime, backend, backends
from cnnspec.graph import Graph
from cnnspec.verify import Report, as_html, as_markdown, verify
from cnnspec.verify.certificate import spec_hash
from cnnspec.verify.comparison import (
    DIRECTION_GATE,
    GRADIENT_ALLOWANCE,
    INEXACT_GATE,
    SINGLE_GATE,
    STEP_GATE,
    UNIT,
    Comparison,
    Verdict,
    judge,
    judge_course,
    judge_slopes,
)
from cnnspec.verify.exchange import COURSES, SETTINGS, Course, Job, Outcome, Setting, Slopes, observe
from cnnspec.verify.optimisers import Adam, Sgd, clipped
from cnnspec.verify.probing import draw_cotangents, slopes_along_directions
from cnnspec.verify.report import CourseRow, SlopeRow
from cnnspec.verify.rounding import rounding
from cnnspec.verify.singles import DISTANCE, KINKS, kinds, side_by_side, spread_out
from cnnspec.verify.worker import measure
from cnnspec.weights import draw, draw_inputs

SPEC = """
model Toy {
    input image: 4x3x3

    norm0: batch_norm -> relu0: relu
    flatten
    fc1: dense(8) -> norm1: batch_norm -> relu1: relu
    output scores = fc2: dense(5)
}
"""
PAIR = ("toy-a", "toy-b")

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def graph() -> Graph:
    return cnnspec.loads(SPEC)


def run(graph: Graph, *faults: tuple[str, str, str], **options: Any) -> Report:
    """The cross-check of code with these faults: target, path, what."""
    options = {"targets": PAIR, **options}
    return verify(graph, sources={"toy": f"FAULTS = {list(faults)!r}\n"}, **options)


def test_gradients_agree_by_default(graph: Graph) -> None:
    report = run(graph, targets=("reference", *PAIR))
    assert report.ok, report.as_text()
    assert [row.setting for row in report.slopes if row.target == "toy-a"] == list(SETTINGS)
    (row, *_) = (row for row in report.slopes if row.target == "toy-a")
    assert set(row.comparison.errors) == {"input image", *(k for k, w in graph.state.items() if w.trainable)}
    assert not report.courses
    assert "gradients of reference against differences along 10 random directions" in report.as_text()
    # In training the norm behind `fc1.bias` takes it away again: its slope is zero but for rounding.
    slopes = [one for _, one in report.directions if (one.mode, one.what) != ("training", "`fc1.bias`")]
    assert max(one.error for one in slopes) < 1e-7
    assert not run(graph, level="forward").slopes


def test_a_wrong_gradient_shows_along_most_directions(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, model = runtime_for(graph)
    job = Job("reference", "reference", 0, 3, "gradient", 5, "reference")
    right = runtime.gradients

    def longer(*arguments: Any, **options: Any) -> Gradients:
        found = right(*arguments, **options)
        inputs, state = ({name: 1.01 * array for name, array in each.items()} for each in (found.inputs, found.state))
        return Gradients(inputs, state)

    setting = Setting("float64", "evaluation")
    counter = SimpleNamespace(done=lambda: None)
    good = slopes_along_directions(job, graph, runtime, model, setting, counter)
    assert max(one.error for one in good) < 1e-7
    monkeypatch.setattr(runtime, "gradients", longer)
    bad = slopes_along_directions(job, graph, runtime, model, setting, counter)
    assert len(bad) == len(good) == 5
    # Along one that happens to lie across the gradient nothing shows: a report asks all of them.
    assert sum(one.error > DIRECTION_GATE for one in bad) >= 4


@pytest.mark.processes
def test_training_agrees(graph: Graph) -> None:
    report = run(graph, targets=("reference", "toy-a", "toy-biased"), level="train", steps=3)
    assert report.ok, report.as_text()
    rows = [row for row in report.courses if row.target == "toy-biased"]
    assert [row.course for row in rows] == list(COURSES)
    assert [len(row.comparison.steps) for row in rows] == [3, 3, 1]
    assert set(rows[0].comparison.errors) == set(graph.state)
    assert "step 3" in report.as_text()


def test_a_wrong_gradient_is_traced_to_its_layer(graph: Graph) -> None:
    report = run(graph, ("toy-b", "norm1", "slope"))
    assert not report.ok
    assert all(row.verdict.ok for row in report.rows)
    wrong = [row for row in report.slopes if not row.comparison.ok]
    assert {(row.target, row.precision) for row in wrong} == {("toy-b", "float64")}
    assert set(wrong[0].comparison.wrong) == {
        "norm0.weight",
        "norm0.bias",
        "fc1.weight",
        "norm1.weight",
        "norm1.bias",
    } | ({"fc1.bias"} if wrong[0].setting.mode == "evaluation" else set())
    (diagnostic,) = report.diagnostics
    assert diagnostic.message == "toy-b has `norm1` wrong by itself (float64, evaluation)"
    assert "the gradient of its input is off by 1.0e-06" in diagnostic.label
    assert SPEC.splitlines()[diagnostic.span.line - 1][diagnostic.span.column - 1 :].startswith("norm1")


def test_a_layer_alone_is_at_fault_and_no_other(graph: Graph) -> None:
    report = run(graph, ("toy-b", "relu0", "scale"), ("toy-b", "fc2", "train-scale"))
    first, second = report.diagnostics
    assert first.message == "toy-b has `relu0` wrong by itself (float64, evaluation)"
    assert "its output is off by 1.0e-03; the gate is 1e-10" in first.label
    assert first.help.endswith("wrong alone are also `fc2`")
    assert "disagree from `relu0` on" in second.message
    assert {fault.path for fault in report.searches["toy-b"].faults} == {"relu0", "fc2"}


def test_the_first_target_is_searched_too(graph: Graph) -> None:
    report = run(graph, ("toy-a", "fc1", "scale"))
    assert {row.target for row in report.rows if not row.verdict.ok} == {"toy-b"}
    assert [fault.path for fault in report.searches["toy-a"].faults][:1] == ["fc1"]
    assert report.searches["toy-b"].faults == ()
    assert report.diagnostics[0].message == "toy-a has `fc1` wrong by itself (float64, evaluation)"


def test_a_layer_that_cannot_run_alone(graph: Graph) -> None:
    report = run(graph, ("toy-b", "relu1", "hide-scale"), level="forward")
    assert report.searches["toy-b"].faults == ()
    assert report.searches["toy-b"].unseen == ("relu1",)
    assert "6 run alone" in report.as_text()
    (diagnostic,) = report.diagnostics
    assert "`fc2`, or `relu1` before it" in diagnostic.message


def test_wrong_gradients_are_told_beside_a_pass_that_is_wrong_in_float32_alone(graph: Graph) -> None:
    slope, scale = run(graph, ("toy-b", "fc1", "slope")), run(graph, ("toy-b", "relu1", "scale"), level="forward")
    rows = [row for row in slope.rows if row.precision == "float64"]
    rows += [row for row in scale.rows if row.precision == "float32"]
    both = replace(slope, rows=tuple(rows), searches={})
    messages = [diagnostic.message for diagnostic in both.diagnostics]
    assert len(messages) == 2
    assert "`relu1`" in messages[0]
    assert "(float32, evaluation)" in messages[0]
    assert "disagree about the gradients from `fc1." in messages[1]
    assert "(float64, evaluation)" in messages[1]


def test_a_gradient_that_is_missing(graph: Graph) -> None:
    report = run(graph, ("toy-b", "fc1.weight", "lose"))
    assert not report.ok
    assert "toy-b: there is no gradient of `fc1.weight`" in report.as_text()


def test_a_fault_that_only_training_shows(graph: Graph) -> None:
    report = run(graph, ("toy-b", "norm1", "momentum"), level="train", steps=2)
    sgd = next(row for row in report.courses if row.target == "toy-b")
    assert set(sgd.comparison.wrong) == {"norm1.running_mean", "norm1.running_var"}


def test_all_targets(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    toys = {name: backends()[name] for name in ("toy", "toy-definition")}
    monkeypatch.setattr("cnnspec.verify.crosscheck.backends", lambda: toys)
    report = verify(graph, targets=["all"], level="forward")
    assert [target.name for target in report.targets] == [
        "toy-definition", "toy-a", "toy-b", "toy-biased", "toy-boasting"
    ]  # fmt: skip
    report = verify(graph, targets=["toy-b", "all"], level="forward")
    assert [target.name for target in report.targets] == [
        "toy-b", "toy-definition", "toy-a", "toy-biased", "toy-boasting"
    ]  # fmt: skip


@pytest.mark.processes
def test_progress_is_metered(graph: Graph) -> None:
    told: list[dict[str, float]] = []
    run(graph, meter=lambda shares: told.append(dict(shares)))
    assert told[-1] == dict.fromkeys(PAIR, 1.0)
    assert all(0 <= share <= 1 for shares in told for share in shares.values())


def test_certificates(graph: Graph) -> None:
    report = run(graph, targets=("reference", "toy-a"), level="train", steps=2)
    text = as_markdown(report)
    assert text.startswith("# Toy: all targets agree\n")
    assert f"sha256:{spec_hash(graph)}" in text
    assert (
        "| tensor | forward, evaluation | forward, training | gradient, evaluation | gradient, training | 2 steps of"
        in text
    )
    assert all(f"| {key} |" in text for key in graph.state)
    page = as_html(run(graph, ("toy-b", "relu0", "scale")))
    assert "THE TARGETS DO NOT AGREE" in page
    assert "toy-b has `relu0` wrong by itself" in page
    assert spec_hash(graph) != spec_hash(cnnspec.loads(SPEC.replace("dense(8)", "dense(9)")))
    assert "| level | train, 2 steps |" in text
    assert "| running variance | of each framework, converted |" in text
    broken = run(graph, ("toy-b", "scores", "drop"), exact_training=True)
    assert "toy-b: there is no output `scores` (every pass)" in as_markdown(broken)
    assert "| running variance | of the spec (--exact-training) |" in as_markdown(broken)


def test_report_as_json(graph: Graph) -> None:
    data = json.loads(json.dumps(run(graph, ("toy-b", "norm1", "slope"), level="train").as_json(), allow_nan=False))
    assert data["level"] == "train"
    assert {row["target"] for row in data["gradients"]} == set(PAIR)
    assert next(fault["what"] for fault in data["alone"]["toy-b"]["faults"]) == "the gradient of its input"
    assert all(len(row["steps"]) == (5 if row["precision"] == "float64" else 1) for row in data["training"])


HARD = """
model Hard {
    input image: 4
    fc1: dense(3) -> hard_sigmoid -> fc2: dense(2)
}
"""


def slopes(**peaks: float) -> Slopes:
    return Slopes({}, {name: observe(numpy.array([peak])) for name, peak in peaks.items()})


def test_what_rounding_leaves_of_zero() -> None:
    graph = cnnspec.loads(HARD)
    setting = Setting("float64", "training")
    reference = slopes(large=1.0, zero=1e-16, small=1e-6)
    moved = {"gradient large": 2e-16, "gradient zero": 1e-16, "gradient small": 1e-22}

    def judged(**peaks: float) -> Comparison:
        return judge_slopes(graph, setting, reference, slopes(**peaks), (), moved)

    close = judged(large=1.0, zero=-3e-15, small=1e-6)
    assert close.ok
    assert close.excused == {"zero": pytest.approx(0.001)}
    assert close.errors["zero"] == pytest.approx(0.031 * STEP_GATE)
    assert not judge_slopes(graph, setting, reference, slopes(large=1.0, zero=-3e-15, small=1e-6), ()).ok
    found = judged(large=1.0, zero=0.0, small=1.001e-6)
    assert found.wrong == ("small",)
    assert found.worst == "small"
    assert judged(large=1.0, zero=2e-13, small=1e-6).wrong == ("zero",)
    assert not judged(large=numpy.nan, zero=0.0, small=1e-6).ok
    # In float32 it is told relative to what cancels.
    single = Setting("float32", "training")
    told = judge_slopes(graph, single, reference, slopes(large=1.0, zero=1e-8, small=1e-6), (), moved)
    assert told.errors["zero"] == pytest.approx(1e-8 / (1e-16 * 2**53))


def test_what_rounding_makes_of_a_pass() -> None:
    graph = cnnspec.loads(HARD)
    setting = Setting("float32", "training")

    def outcome(value: float) -> Outcome:
        return Outcome({"output": numpy.full((2, 2), value)}, {}, {}, {}, ())

    def verdict(value: float, moved: dict[str, float] | None) -> Verdict:
        return judge(graph, setting, 2, outcome(1.0), outcome(value), moved)

    moved = {"output output": 4e-13}
    assert not verdict(1.0002, None).ok
    assert verdict(1.0002, moved).ok
    assert verdict(1.0002, moved).output_error == pytest.approx(2e-4)
    assert verdict(1.0002, moved).excused == {"output output": pytest.approx(100 * 4e-13 * 2**29)}
    assert not verdict(1.03, moved).ok
    assert not verdict(1.0002, {"output output": 1e-16}).ok
    assert not verdict(1.000001, {"output output": 1e-16}).excused


def runtime_for(graph: Graph) -> tuple[Runtime, Any]:
    runtime = backend("reference").runtime("reference", "float64")
    model = runtime.build("", graph)
    runtime.load(model, graph, draw(graph, 0))
    return runtime, model


@pytest.mark.parametrize("norm", ["batch_norm", "instance_norm", "layer_norm", "group_norm(2)"])
def test_rounding_finds_what_is_zero_by_structure(norm: str) -> None:
    graph = cnnspec.loads(
        f"model Zero {{ input image: 3x6x6\n conv: conv(4, 3x3) -> bn: batch_norm -> after: {norm} -> relu"
        " -> conv(2, 3x3) -> softsign }"
    )
    runtime, model = runtime_for(graph)
    inputs, cotangents = draw_inputs(graph, 3, 0), draw_cotangents(graph, 3, 0, training=True)
    moved = rounding(runtime, model, graph, inputs, cotangents, training=True, seed=0)
    found = runtime.gradients(model, graph, inputs, cotangents, training=True)
    peaks = {f"gradient {key}": float(numpy.abs(values).max()) for key, values in found.state.items()}
    zero = {name for name, peak in peaks.items() if peak <= GRADIENT_ALLOWANCE * moved[name]}
    assert "gradient conv.bias" in zero
    assert zero <= {"gradient conv.bias", "gradient bn.bias", "gradient bn.weight"}
    after = {name for name in peaks if name.startswith("gradient after")}
    assert after.isdisjoint(zero)
    # Everything else moves by rounding alone: its own, some sums of it.
    rest = peaks.keys() - zero - {"gradient bn.weight"}  # which is near zero, by epsilon
    assert all(moved[name] < 1e-13 * peaks[name] for name in rest)
    assert {"output output", "gradient input image", "conv", "bn.running_mean", "bn.running_var"} <= moved.keys()
    assert moved["output output"] < 1e-14


def test_rounding_tells_an_input_from_a_weight_of_its_name() -> None:
    spec = (
        "model Twins {{ input {name}: 3x4x4\n input x: 3x8x8\n s = gamma: parameter([3, 1, 1], init = 1.0)\n"
        " output y = (x + s) -> batch_norm -> conv(2, 1x1)\n output z = 1e-6 * {name} }}"
    )
    of: dict[str, dict[str, float]] = {}
    for name in ("gamma", "other"):
        graph = cnnspec.loads(spec.format(name=name))
        runtime, model = runtime_for(graph)
        inputs, cotangents = draw_inputs(graph, 3, 0), draw_cotangents(graph, 3, 0, training=True)
        of[name] = rounding(runtime, model, graph, inputs, cotangents, training=True, seed=0)
    assert of["gamma"]["gradient gamma"] == of["other"]["gradient gamma"]
    assert of["gamma"].keys() == {name.replace("other", "gamma") for name in of["other"]}


def test_rounding_finds_what_cancels_within_a_layer() -> None:
    # Two values become one and minus one whatever they are: the slopes are what epsilon leaves of a difference.
    graph = cnnspec.loads("model Two { input x: 6\n first: dense(2) -> layer_norm -> dense(3) }")
    runtime, model = runtime_for(graph)
    inputs, cotangents = draw_inputs(graph, 3, 0), draw_cotangents(graph, 3, 0, training=False)
    moved = rounding(runtime, model, graph, inputs, cotangents, training=False, seed=0)
    found = runtime.gradients(model, graph, inputs, cotangents, training=False)
    assert moved["gradient first.weight"] > 1000 * UNIT * numpy.abs(found.state["first.weight"]).max()
    assert moved["gradient first.weight"] < 100 * UNIT
    # What runs later is not disturbed.
    again = runtime.gradients(model, graph, inputs, cotangents, training=False)
    assert all((again.state[key] == values).all() for key, values in found.state.items())


def test_what_rounding_makes_of_training() -> None:
    graph = cnnspec.loads(HARD)
    course = Course("float64", "sgd")
    steps = [slopes(kept=1.0, moved=1.0).weights] * 2
    moved = [{"kept": 1e-16, "moved": 1e-16}, {"kept": 1e-16, "moved": 4e-13}]

    def judged(*given: Slopes, exactly: Sequence[Mapping[str, float]] = moved) -> Comparison:
        return judge_course(graph, course, steps, [one.weights for one in given], (), exactly)

    late = judged(slopes(kept=1.0, moved=1.0), slopes(kept=1.0, moved=1 + 3e-10))
    assert late.ok
    assert late.excused == {"moved": pytest.approx(1 / 4e-10)}
    assert late.steps == (0.0, pytest.approx(0.75 * STEP_GATE))
    # A step is judged by what rounding makes of it, not of a later one.
    early = judged(slopes(kept=1.0, moved=1 + 3e-10), slopes(kept=1.0, moved=1 + 3e-10))
    assert early.wrong == ("moved",)
    assert judged(slopes(kept=1.0, moved=1.0), slopes(kept=1.0, moved=1 + 5e-10)).wrong == ("moved",)
    assert judged(slopes(kept=1.0, moved=1.0), slopes(kept=1 + 3e-10, moved=1.0)).wrong == ("kept",)
    assert judged(*[slopes(kept=1.0, moved=1 + 3e-10)] * 2, exactly=()).wrong == ("moved",)


def test_what_rounding_excuses_is_told(graph: Graph) -> None:
    excused = {"fc1.bias": 0.5, "fc1.weight": 20.0, "fc2.weight": 30.0}
    comparison = Comparison(dict.fromkeys(excused, 1e-11), True, (), frozenset({"fc2.weight"}), (), excused)
    report = replace(
        run(graph, level="forward"),
        slopes=(SlopeRow("toy-b", Setting("float64", "training"), comparison),),
        courses=(CourseRow("toy-b", Course("float64", "adam"), comparison),),
    )
    makes = f"makes of {report.definition}'s"
    assert [line for line in report.as_text().splitlines() if line.startswith("toy-b (")] == [
        "toy-b (float64 training): zero but for rounding: 1 gradient, such as that of `fc1.bias`",
        f"toy-b (float64 training): 1 gradient judged by 1000 times what one rounding of every value {makes},"
        " such as that of `fc1.weight`",
        f"toy-b (float64 training): 1 gradient judged by what one rounding of every value to float32 {makes},"
        " such as that of `fc2.weight`",
        f"toy-b (float64 adam): 2 arrays judged by 1000 times what one rounding of every value {makes},"
        " such as `fc1.bias`",
        f"toy-b (float64 adam): 1 array judged by what one rounding of every value to float32 {makes},"
        " such as `fc2.weight`",
    ]


def test_training_rounds_little_and_more_with_every_step() -> None:
    layers = " -> ".join(["dense(6) -> batch_norm -> relu"] * 16)
    graph = cnnspec.loads(f"model Deep {{ input x: 6\n {layers} -> dense(3) }}")
    counter = SimpleNamespace(done=lambda: None)
    job = Job("reference", "reference", 0, 3, "train", 5, "reference", task="rounding", modes=(), methods=("sgd",))
    found = measure(job, graph, counter)
    assert not found.passes
    (steps,) = found.courses.values()
    assert [step.keys() for step in steps] == [graph.state.keys()] * 5
    largest = [max(step.values()) for step in steps]
    assert UNIT / 10 < largest[0] < largest[-1] < 1e-12
    assert measure(job, graph, counter) == found


def test_layers_alone_are_given_numbers_that_are_safe() -> None:
    for shape in ((3, 5), (3, 4, 1, 1), (2, 3, 40, 40), (3, 2, 7)):
        first, second = (spread_out(0, "layer", shape, place, 2) for place in range(2))
        assert first.dtype == numpy.float32
        assert first.shape == shape
        assert not (first == second).any()
        channels = numpy.moveaxis(first, 1, 0).reshape(shape[1], -1)
        assert all(len(set(channel)) == len(channel) for channel in channels.tolist())
        assert (channels.std(axis=1) > 1).all()
        assert min(float(numpy.abs(first - kink).min()) for kink in KINKS) >= DISTANCE * (1 - 1e-6)


def test_layers_that_are_alike_are_one_kind() -> None:
    text = """
    model Alike {
        input image: 3x8x8
        a = image -> one: conv(4, 3x3, pad = 1) -> relu -> two: conv(4, 3x3, pad = 1) -> relu
        b = a -> three: conv(4, 3x3, pad = 1) -> relu
        a + b * parameter([4, 1, 1], init = 0.5)
    }
    """
    graph = cnnspec.loads(text)
    groups = [[node.path for node in nodes] for nodes in kinds(graph).values()]
    assert [len(group) for group in groups] == [1, 3, 2, 1, 1]
    assert ["two", "three"] in groups
    chosen = [nodes[0] for nodes in kinds(graph).values()]
    lone = side_by_side(graph, chosen)
    assert Graph.model_validate_json(lone.model_dump_json()) == lone
    assert [node.layer for node in lone.layers] == [node.layer for node in chosen]
    assert len(lone.inputs) == 7
    state = {
        there.key(weight): values
        for node, there in zip(chosen, lone.layers, strict=True)
        for weight, values in zip(there.weights, (draw(graph, 0)[node.key(one)] for one in node.weights), strict=True)
    }
    runtime, _ = runtime_for(graph)
    model = runtime.build("", lone)
    runtime.load(model, lone, state)
    assert len(runtime.forward(model, lone, draw_inputs(lone, 2, 0), training=True).outputs) == len(chosen)


def test_a_fault_that_only_a_layer_alone_in_float32_shows(graph: Graph) -> None:
    report = run(graph, ("toy-b", "norm1", "coarse"))
    assert all(row.verdict.ok for row in report.rows)
    assert all(row.comparison.ok for row in report.compared)
    assert not report.ok
    (diagnostic,) = report.diagnostics
    assert diagnostic.message == "toy-b has `norm1` wrong in float32 alone (evaluation)"
    assert "its output is off by 1.0e-03, and the gate is 1e-05" in diagnostic.label
    assert run(graph, ("toy-b", "norm1", "coarse"), level="forward").ok
    data = report.as_json()["singles"]["toy-b"]
    assert {one["path"]: one["ok"] for one in data}["norm1"] is False
    # A batch norm is run in both modes, anything else in one.
    assert len(data) == 7 + 2


def test_what_overflows_alone_in_float32_is_named() -> None:
    layers = "near: dense(4) -> huge: scale_shift(1e300) -> far: scale_shift(1e-300)"
    report = run(
        cnnspec.loads(f"model Huge {{ input x: 2x3x3\n flatten -> {layers} }}"), targets=("reference", "toy-a")
    )
    assert not report.ok
    assert [one.path for one in report.singles["toy-a"] if not one.output <= SINGLE_GATE] == ["huge"]
    assert re.search(r"toy-a +4 of 4 \(4 kinds\) .* DISAGREES  huge\n", report.as_text())
    assert "its output is of another shape, infinite or no number, and the gate is 1e-05" in report.as_text()


def test_a_hidden_layer_is_judged_in_code_of_its_own(graph: Graph) -> None:
    report = run(graph, ("toy-b", "relu1", "hide"))
    assert report.ok, report.as_text()
    own = {one.path: one.own for one in report.singles["toy-b"]}
    assert [path for path, is_own in own.items() if not is_own] == ["relu1"]
    assert "7 of 7 (7 kinds)" in report.as_text()


def test_a_rounded_constant_loosens_what_it_touches_alone() -> None:
    graph = cnnspec.loads(HARD)
    setting = Setting("float64", "evaluation")
    reference = slopes(**{"fc1.weight": 1.0, "fc2.weight": 1.0})
    other = slopes(**{"fc1.weight": 1 + 3e-8, "fc2.weight": 1 + 3e-8})
    found = judge_slopes(graph, setting, reference, other, {"hard_sigmoid"})
    assert found.loose == {"input image", "fc1.weight", "fc1.bias"}
    assert found.wrong == ("fc2.weight",)
    assert found.gate_of("fc1.weight") == INEXACT_GATE
    assert judge_slopes(graph, setting, reference, other, ()).wrong == ("fc1.weight", "fc2.weight")
    course = Course("float64", "sgd")
    before, after = reference.weights, other.weights
    assert judge_course(graph, course, [before], [after], {"hard_sigmoid"}).ok
    assert not judge_course(graph, course, [before], [after], ()).ok


def test_gradients_in_float32_are_told_and_not_judged() -> None:
    """Rounding crosses kinks by chance; what is no number, or missing, is wrong all the same."""
    graph = cnnspec.loads(HARD)
    reference, other = slopes(weight=1.0), slopes(weight=1.002)
    for precision in ("float32", "float64"):
        found = judge_slopes(graph, Setting(precision, "training"), reference, other, ())
        assert found.judged is (precision == "float64")
        assert found.ok is (precision == "float32")
        assert found.errors["weight"] == pytest.approx(0.002)
    single = Setting("float32", "training")
    assert not judge_slopes(graph, single, reference, slopes(weight=numpy.nan), ()).ok
    assert not judge_slopes(graph, single, reference, slopes(), ()).ok


def test_optimisers_follow_pytorch_by_hand() -> None:
    w, g = numpy.array([0.5]), numpy.array([0.3])
    sgd = Sgd(rate=0.1, fall=0.5, momentum=0.9, decay=0.01)
    first = sgd.step({"w": w}, {"w": g})["w"]
    assert first == pytest.approx(0.5 - 0.1 * 0.305)
    second = sgd.step({"w": first}, {"w": g})["w"]
    # The velocity has no rate in it: what came before moves on at the new one.
    assert second == pytest.approx(first - 0.05 * (0.9 * 0.305 + 0.3 + 0.01 * first))
    adam = Adam(rate=0.1, decay=0.01, epsilon=0.2)
    # After one step both moments, corrected, are the gradient's own.
    assert adam.step({"w": w}, {"w": g})["w"] == pytest.approx(0.5 * (1 - 0.001) - 0.1 * 0.3 / (0.3 + 0.2))
    long = dict(clipped({"a": numpy.array([3.0]), "b": numpy.array([4.0])}))
    assert (long["a"], long["b"]) == (pytest.approx(0.6), pytest.approx(0.8))
    assert dict(clipped({"a": g}))["a"] == g
