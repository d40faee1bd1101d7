"""The cross-check without a framework: a third-party toy backend that makes mistakes to order."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest

import cnnspec
from cnnspec.backend import backends
from cnnspec.graph import Graph
from cnnspec.shapes import UnknownSize
from cnnspec.verify import Report, Unverifiable, as_markdown, verify
from cnnspec.verify.comparison import GATES, SMALLEST_PEAK, observed_error, relative_error
from cnnspec.verify.exchange import FOLDED, SETTINGS, Setting, observe
from cnnspec.verify.processes import Ending
from cnnspec.verify.worker import unbiased
from cnnspec.weights import draw, draw_inputs
from support import toy_backend

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


def run(graph: Graph, *faults: tuple[str, str, str], targets: tuple[str, ...] = PAIR, **options: Any) -> Report:
    """The cross-check of code with these faults: target, path, what."""
    options = {"level": "forward", **options}
    return verify(graph, targets=targets, sources={"toy": f"FAULTS = {list(faults)!r}\n"}, **options)


def failed(report: Report) -> list[Setting]:
    assert not report.ok
    return [row.setting for row in report.rows if not row.verdict.ok]


@pytest.mark.processes
def test_agreement(graph: Graph) -> None:
    told: list[str] = []
    report = verify(graph, targets=PAIR, level="forward", seed=3, batch=5, progress=told.append)
    assert report.ok, report.as_text()
    assert report.diagnostics == ()
    assert [(row.target, row.setting) for row in report.rows] == [(t, s) for t in PAIR for s in SETTINGS]
    errors = [max(row.verdict.output_error, row.verdict.state_error) for row in report.rows]
    assert all((error == 0) == (row.precision == "float64") for row, error in zip(report.rows, errors, strict=True))
    assert {row.verdict.layers for row in report.rows} == {len(graph.layers)}
    text = report.as_text()
    assert "toy-b   float64    training    0.0e+00" in text
    assert text.endswith("s, 7 of 7 layers compared\nseed 3, batch 5")
    assert "toy-b: toy 0.1, " in text
    assert "toy-a runs" in told
    assert any(line.startswith("toy-b is done") for line in told)


def test_report_as_json(graph: Graph) -> None:
    good = json.loads(json.dumps(run(graph).as_json(), allow_nan=False))
    assert good["ok"] is True
    assert good["model"] == "Toy"
    assert good["reference"] == "toy-a"
    assert [target["versions"] for target in good["targets"]] == [{"toy": "0.1"}] * 2
    assert all(row["ok"] and row["first_divergence"] is None for row in good["comparisons"])
    bad = json.loads(json.dumps(run(graph, ("toy-b", "relu0", "nan")).as_json(), allow_nan=False))
    assert bad.keys() == good.keys()
    assert [row.keys() for row in bad["comparisons"]] == [row.keys() for row in good["comparisons"]]
    (row,) = (r for r in bad["comparisons"] if (r["target"], r["precision"], r["mode"]) == ("toy-b", *SETTINGS[0]))
    assert row["first_divergence"]["path"] == "relu0"
    assert row["first_divergence"]["error"] is None
    assert bad["diagnostics"][0]["code"] == "targets-disagree"


@pytest.mark.parametrize("path", ["norm0", "relu0", "fc1", "norm1", "fc2"])
def test_the_first_layer_that_differs_is_named(graph: Graph, path: str) -> None:
    report = run(graph, ("toy-b", path, "scale"))
    assert failed(report) == list(SETTINGS)
    assert {row.verdict.divergence.node.path for row in report.rows if row.verdict.divergence} == {path}
    _, diagnostic = report.diagnostics
    assert f"`{path}`" in diagnostic.message
    line = SPEC.splitlines()[diagnostic.span.line - 1]
    assert line[diagnostic.span.column - 1 :].startswith(path)
    assert "off by 1.0e-03, and the gate is 1e-10" in diagnostic.label


def test_what_is_known_of_its_inputs_is_said(graph: Graph) -> None:
    text = run(graph, ("toy-b", "relu1", "scale")).as_text()
    assert "`norm1` before it is equal in both" in text
    assert "DISAGREES" in text
    assert "fc1: dense(8) -> norm1: batch_norm -> relu1: relu" in text
    text = run(graph, ("toy-b", "norm0", "scale")).as_text()
    assert "the input `image` is the model's own" in text


def test_a_difference_that_only_training_shows(graph: Graph) -> None:
    report = run(graph, ("toy-b", "relu1", "train-scale"))
    assert failed(report) == [setting for setting in SETTINGS if setting.mode == "training"]
    assert "`relu1`" in report.diagnostics[-1].message
    assert "float64, training" in report.diagnostics[-1].message


def test_statistics_that_move_otherwise(graph: Graph) -> None:
    report = run(graph, ("toy-b", "norm1", "momentum"))
    assert failed(report) == [setting for setting in SETTINGS if setting.mode == "training"]
    assert "`norm1.running_" in report.diagnostics[-1].message


def test_a_pass_that_changes_a_weight(graph: Graph) -> None:
    report = run(graph, ("toy-b", "fc2", "learn"))
    assert failed(report) == list(SETTINGS)
    assert "from `fc2.weight` on" in report.diagnostics[-1].message
    assert all(row.verdict.output_error < 1e-6 for row in report.rows)


def test_a_layer_that_cannot_be_seen(graph: Graph) -> None:
    assert run(graph, ("toy-b", "relu1", "hide")).ok
    report = run(graph, ("toy-b", "relu1", "hide-scale"))
    assert "`fc2`" in report.diagnostics[-1].message
    assert "`relu1` before it is not visible in both, and may be at fault" in report.as_text()
    assert "`norm1` before it is equal in both" in report.as_text()
    report = run(graph, ("toy-b", "fc2", "hide-scale"))
    assert "the output `scores`, made by `fc2`" in report.diagnostics[-1].message


@pytest.mark.parametrize("guilty", PAIR)
def test_no_number(graph: Graph, guilty: str) -> None:
    report = run(graph, (guilty, "relu1", "nan"))
    assert not report.ok
    assert "`relu1`" in report.diagnostics[-1].message
    assert f"{guilty}: the output `scores` has values that are infinite or no numbers (every pass)" in report.as_text()


def test_no_number_in_both(graph: Graph) -> None:
    report = run(graph, *((target, "relu1", "nan") for target in PAIR))
    assert not report.ok
    assert "toy-a goes wrong from `relu1` on" in report.as_text()


def test_a_wrong_shape(graph: Graph) -> None:
    report = run(graph, ("toy-b", "fc2", "shape"))
    assert failed(report) == list(SETTINGS)
    text = report.as_text()
    assert "the output `scores` is 3x6 instead of 3x5, the batch first" in text
    assert "the result of this `dense` is 3x5 in toy-a and 3x6 in toy-b" in text
    both = run(graph, *((target, "fc2", "shape") for target in PAIR))
    assert "the output `scores` is 3x6 instead of 3x5" in both.as_text()


def test_outputs_and_state_that_are_missing_or_too_many(graph: Graph) -> None:
    assert "toy-b: there is no output `scores` (every pass)" in run(graph, ("toy-b", "scores", "drop")).as_text()
    assert "there is an output `more` that the spec does not have" in run(graph, ("toy-b", "more", "extra")).as_text()
    text = run(graph, ("toy-b", "norm1.running_mean", "forget")).as_text()
    assert "`norm1.running_mean` is missing from the state" in text
    assert "disagree from `norm1.running_mean` on" in text
    assert "`norm1.running_mean` is missing from toy-b" in text


def test_the_biased_running_variance_is_converted_and_nothing_else(graph: Graph) -> None:
    report = run(graph, targets=("toy-a", "toy-biased"), batch=2)
    assert report.ok, report.as_text()
    assert max(row.verdict.state_error for row in report.rows if row.setting.precision == "float64") < 1e-14
    report = run(graph, targets=("toy-a", "toy-boasting"), batch=2)
    assert failed(report) == [setting for setting in SETTINGS if setting.mode == "training"]
    assert "`norm0.running_var`" in report.diagnostics[-1].message
    report = run(graph, ("toy-biased", "norm1", "momentum"), targets=("toy-a", "toy-biased"))
    assert "`norm1.running_" in report.diagnostics[-1].message


def test_unbiased() -> None:
    before, batch = numpy.array([1.0, 2.0]), numpy.array([3.0, 0.5])
    after = 0.9 * before + 0.1 * batch
    assert unbiased(before, after, 0.1, 4) == pytest.approx(0.9 * before + 0.1 * batch * 4 / 3, rel=1e-15)


@pytest.mark.processes
def test_a_crash(graph: Graph) -> None:
    report = run(graph, ("toy-b", "*", "crash"))
    assert not report.ok
    text = report.as_text()
    assert "toy-b failed: its process ended with exit code 1" in text
    assert "RuntimeError: the toy broke" in text
    assert report.reference == "toy-a"
    assert report.as_json()["targets"][1]["failure"] == "its process ended with exit code 1"


@pytest.mark.processes
def test_a_signal(graph: Graph) -> None:
    report = run(graph, ("toy-a", "*", "abort"))
    assert "its process was ended by SIGABRT" in report.as_text()
    assert report.reference == "toy-b"


@pytest.mark.processes
def test_nothing_runs(graph: Graph) -> None:
    report = run(graph, *((target, "*", "crash") for target in PAIR))
    assert not report.ok
    assert report.reference == ""
    assert report.as_json()["reference"] is None
    assert "no target ran" in report.as_text()


@pytest.mark.processes
def test_a_process_that_takes_too_long_is_ended(graph: Graph) -> None:
    began = time.monotonic()
    report = run(graph, ("toy-b", "*", "sleep"), timeout=2)
    assert time.monotonic() - began < 60
    assert "toy-b failed: no result within 2 seconds" in report.as_text()


@pytest.mark.processes
def test_more_targets_than_cores(graph: Graph) -> None:
    targets = ("toy-a", "toy-b", "toy-biased")
    report = run(graph, ("toy-biased", "fc1", "scale"), targets=targets)
    assert [target.name for target in report.targets] == list(targets)
    assert {row.target for row in report.rows if not row.verdict.ok} == {"toy-biased"}


@pytest.mark.processes
def test_layers_alone_that_crash(graph: Graph) -> None:
    report = run(graph, ("toy-b", "fc1", "scale"), ("toy-b", "fc2", "lonely"))
    assert {row.target for row in report.rows if not row.verdict.ok} == {"toy-b"}
    text = report.as_text()
    assert "could not run the layers of toy-b alone: its process ended with exit code 1\n" in text
    assert "RuntimeError: alone it broke" in text
    assert "disagree from `fc1` on" in text
    (told,) = report.as_json()["unfinished"]
    assert told["what"] == "run the layers of toy-b alone"


def test_rounding_that_cannot_be_measured(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(folders: Mapping[str, Path], *rest: Any) -> dict[str, Ending]:
        (first, *_) = folders
        if first.startswith("rounding"):
            return {first: Ending(1.0, "its process was ended by SIGKILL", "the last line")}
        return toy_backend.run_here(folders, *rest)

    monkeypatch.setattr("cnnspec.verify.crosscheck.run", starved)
    report = run(graph, ("toy-b", "fc1", "scale"))
    assert failed(report) == list(SETTINGS)
    what = "could not measure what rounding makes of the network: its process was ended by SIGKILL"
    assert f"{what}\n    the last line\n" in report.as_text()
    assert what in as_markdown(report)


def test_what_cannot_begin(graph: Graph) -> None:
    with pytest.raises(Unverifiable, match="compares at least two targets, and there is only toy-a"):
        verify(graph, targets=["toy-a", "toy-a"])
    with pytest.raises(Unverifiable, match="cannot run toy-absent: the toy box"):
        verify(graph, targets=["toy-a", "toy-absent"])
    with pytest.raises(Unverifiable, match="no target `toy-aa`; did you mean `toy-a`"):
        verify(graph, targets=["toy-aa", "toy-a"])
    with pytest.raises(Unverifiable, match="no target `ALL`; did you mean `all`"):
        verify(graph, targets=["toy-a", "ALL"])
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(Unverifiable, match="nothing ends within"):
            verify(graph, targets=PAIR, timeout=seconds)
    with pytest.raises(Unverifiable, match="nothing to compare after 0 steps"):
        verify(graph, targets=PAIR, level="train", steps=0)
    with pytest.raises(Unverifiable, match="no target `zzz`; known: "):
        verify(graph, targets=["zzz", "toy-a"])
    with pytest.raises(Unverifiable, match="a batch of 1 is too small"):
        verify(graph, targets=PAIR, batch=1)
    unsized = cnnspec.loads("model M {\n    input image: [1, H, W]\n    relu\n}\n")
    with pytest.raises(Unverifiable, match=r"the input `image` is \[1, H, W\]: give it a size"):
        verify(unsized, targets=PAIR)
    with pytest.raises(UnknownSize):
        draw_inputs(unsized, 2, 0)


def test_the_default_is_one_target_of_each_backend_that_can_run(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    toy, definition = backends()["toy"], backends()["toy-definition"]
    monkeypatch.setattr("cnnspec.verify.crosscheck.backends", lambda: {"toy": toy, "toy-definition": definition})
    report = verify(graph)
    assert report.ok, report.as_text()
    assert [target.name for target in report.targets] == ["toy-definition", "toy-a"]
    assert report.as_text().startswith("Toy: toy-a compared with toy-definition\n")
    monkeypatch.setattr("cnnspec.verify.crosscheck.backends", lambda: {"toy": toy})
    with pytest.raises(Unverifiable, match=r"there is only toy-a$"):
        verify(graph)
    monkeypatch.setattr(type(toy), "missing", lambda self, target: None if target == "toy-b" else "a toy")
    with pytest.raises(Unverifiable, match=r"there is only toy-b$"):
        verify(graph)
    monkeypatch.setattr(type(toy), "missing", lambda self, target: "a toy")
    with pytest.raises(Unverifiable, match="there is nothing; cannot run toy-a: a toy; cannot run toy-b: a toy"):
        verify(graph)


def test_weights_depend_on_name_and_seed_alone(graph: Graph) -> None:
    shorter = cnnspec.loads(SPEC.replace("-> relu0: relu", ""))
    some, others, again = draw(graph, 0), draw(shorter, 0), draw(graph, 1)
    assert list(some) == list(graph.state)
    for key, values in some.items():
        assert values.shape == graph.state[key].shape
        assert values.dtype == numpy.float64
        assert numpy.array_equal(values, others[key])
        assert not numpy.array_equal(values, again[key])
        assert numpy.abs(values).min() > 0
    assert all(not numpy.array_equal(a, b) for a, b in pairwise(some.values()) if a.shape == b.shape)
    inputs = draw_inputs(graph, 6, 0)
    assert inputs["image"].shape == (6, 4, 3, 3)
    assert not numpy.array_equal(inputs["image"], draw_inputs(graph, 6, 1)["image"])


def test_weights_keep_every_part_visible() -> None:
    spec = """
    model M {
        input x: 8x16x16
        up: conv_transpose(64, 4x4, stride = 2) -> norm: batch_norm -> slope: prelu
        y = flatten -> fc: dense(200)
        scale = parameter([200], init = 1e-6)
        output y * scale
    }
    """
    drawn = draw(cnnspec.loads(spec), 0)
    # An output of the transposed convolution sums 8 channels times 4 of the 16 kernel positions.
    assert drawn["up.weight"].std() == pytest.approx(32**-0.5, rel=0.05)
    assert drawn["fc.weight"].std() == pytest.approx(drawn["fc.weight"].shape[1] ** -0.5, rel=0.05)
    for key, low, high in (
        ("up.bias", 0.05, 0.3),
        ("norm.weight", 0.5, 1.5),
        ("norm.bias", 0.3, 1),
        ("norm.running_mean", 0.1, 0.5),
        ("norm.running_var", 0.5, 2),
        ("slope.weight", 0.5, 1),
        ("parameter_1", 0.5, 1),
    ):
        magnitudes = numpy.abs(drawn[key])
        assert low <= magnitudes.min() < magnitudes.max() <= high, key


def test_observations_fold_what_is_large() -> None:
    generator = numpy.random.default_rng(0)
    small = generator.standard_normal((3, 5))
    assert numpy.array_equal(observe(small).values, small.reshape(-1))
    large = generator.standard_normal((2, 64, 56, 57))
    seen = observe(large)
    assert seen.values.shape == (FOLDED,)
    assert seen.shape == large.shape
    assert seen.peak == numpy.abs(large).max()
    # Rounding stays rounding, and one value among 400,000 shows.
    rounded = observed_error(seen, observe(large.astype(numpy.float32)))
    assert 1e-9 < rounded < 1e-6
    touched = large.copy()
    touched[1, 63, 55, 56] += 1e-6
    assert observed_error(seen, observe(touched)) > 1e-9
    # Exchanged values do not cancel, as they would in a plain sum.
    moved = numpy.roll(large, 1, axis=-1)
    assert observed_error(seen, observe(moved)) > 0.1
    assert observed_error(seen, observe(large.transpose(0, 1, 3, 2))) == numpy.inf
    touched[0, 0, 0, 0] = numpy.nan
    assert observed_error(seen, observe(touched)) == numpy.inf


def test_relative_errors() -> None:
    reference = numpy.array([1.0, -4.0])
    assert relative_error(reference, numpy.array([1.0, -4.0])) == 0
    assert relative_error(reference, numpy.array([1.5, -4.0])) == 0.125
    assert relative_error(reference, numpy.array([1.0])) == numpy.inf
    assert relative_error(reference, numpy.array([1.0, numpy.inf])) == numpy.inf
    assert relative_error(numpy.zeros(2), numpy.zeros(2)) == 0
    assert relative_error(numpy.zeros(2), numpy.array([0.0, 1e-30])) == numpy.inf
    assert relative_error(numpy.zeros((0, 2)), numpy.zeros((0, 2))) == 0
    # The sum of a normalised map is zero but for rounding.
    nothing, rounding = observe(numpy.array([1e-17])), observe(numpy.array([-2e-17]))
    assert observed_error(nothing, rounding) == pytest.approx(3e-17 / SMALLEST_PEAK)
    assert set(GATES) == set(SETTINGS)
