"""The cross-check on real targets: it accepts what is right, and catches code in which one detail was changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import cnnspec
from cnnspec.backend import backend
from cnnspec.verify import verify
from cnnspec.verify.comparison import Verdict, judge
from cnnspec.verify.exchange import SETTINGS, Job, Result, read_result, write_job
from cnnspec.verify.worker import work
from support.residents import Residents

SMALL_RESNET = """
block Residual(width, stride = 1) {
    input x
    y = x -> conv1: conv(width, 3x3, stride = stride, pad = 1, bias = false) -> bn1: batch_norm -> act1: relu
          -> conv2: conv(width, 3x3, pad = 1, bias = false) -> bn2: batch_norm
    if stride != 1 or x.channels != width {
        x = x -> downsample: { conv(width, 1x1, stride = stride, bias = false) -> batch_norm }
    }
    x + y -> act2: relu
}

model SmallResNet(classes = 5) {
    input image: 3x16x16
    stem: conv(8, 3x3, pad = 1) -> max_pool(3x3, stride = 2, pad = 1)
    layer1: Residual(8)
    layer2: Residual(12, stride = 2)
    global_avg_pool -> flatten -> fc: dense(classes)
}
"""
MUTABLE = """
model Mutable {
    input image: 3x12x12
    conv1: conv(6, 3x3, stride = 2, pad = [(0, 1), (0, 1)], bias = false) -> bn1: batch_norm -> act1: relu
    pool1: avg_pool(3x3, stride = 1, pad = 1)
    conv2: conv(8, 3x3, pad = 1) -> act2: leaky_relu(0.1)
    pool2: max_pool(2x2)
    flatten -> fc: dense(5) -> probabilities: softmax
}
"""
BATCH = 3


@pytest.mark.parametrize("name", ["lenet5", "small resnet"])
def test_targets_agree(name: str) -> None:
    graph = cnnspec.load(name) if name == "lenet5" else cnnspec.loads(SMALL_RESNET)
    report = verify(graph, targets=["torch", "keras-tensorflow"])
    assert report.ok, report.as_text()
    exact = [row.verdict for row in report.rows if row.setting.precision == "float64"]
    assert max(max(v.output_error, v.layer_error, v.state_error) for v in exact) < 1e-13
    assert min(v.layers for v in exact) >= len(graph.layers) // 2


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory, residents: Residents) -> Callable[[str, str], Result]:
    """What a target makes of source for `MUTABLE`."""
    graph = cnnspec.loads(MUTABLE)

    def compute(target: str, source: str) -> Result:
        folder: Path = tmp_path_factory.mktemp(target)
        write_job(folder, Job(target.partition("-")[0], target, 0, BATCH), graph, source)
        residents.of(target).call(work, folder)
        return read_result(folder)

    return compute


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    graph = cnnspec.loads(MUTABLE)
    return {name: backend(name).emit(graph, []) for name in ("torch", "keras")}


@pytest.fixture(scope="module")
def reference(compute: Callable[[str, str], Result], sources: dict[str, str]) -> Result:
    return compute("keras-tensorflow", sources["keras"])


def verdicts(reference: Result, other: Result) -> list[Verdict]:
    graph = cnnspec.loads(MUTABLE)
    return [judge(graph, s, BATCH, reference.outcomes[s], other.outcomes[s]) for s in SETTINGS]


def changed(source: str, pattern: str, replacement: str) -> str:
    """The source with one detail changed, which must be there."""
    text, count = re.subn(pattern, replacement, source)
    assert count, f"nothing matches {pattern!r} in\n{source}"
    return text


def test_nothing_changed(reference: Result, compute: Callable[[str, str], Result], sources: dict[str, str]) -> None:
    assert all(verdict.ok for verdict in verdicts(reference, compute("torch", sources["torch"])))


@pytest.mark.parametrize(
    ("pattern", "replacement", "path"),
    [
        pytest.param(r"eps=1e-0?5", "eps=2e-5", "bn1", id="epsilon"),
        pytest.param(r"momentum=0\.1", "momentum=0.101", "bn1", id="momentum"),
        pytest.param(r"\(0, 1, 0, 1\)", "(1, 0, 1, 0)", "conv1", id="padding side"),
        pytest.param(r"nn\.ReLU\(inplace=True\)", "nn.Identity()", "act1", id="no relu"),
        pytest.param(r"count_include_pad=False", "count_include_pad=True", "pool1", id="padded cells counted"),
        pytest.param(r"LeakyReLU\(0\.1\)", "LeakyReLU(0.1001)", "act2", id="slope"),
        pytest.param(r"flatten\((\w+), 1\)", r"flatten(\1.movedim(1, -1), 1)", "flatten_1", id="flatten order"),
    ],
)
def test_one_detail_changed(
    pattern: str,
    replacement: str,
    path: str,
    reference: Result,
    compute: Callable[[str, str], Result],
    sources: dict[str, str],
) -> None:
    found = verdicts(reference, compute("torch", changed(sources["torch"], pattern, replacement)))
    assert not all(verdict.ok for verdict in found)
    (first, *_) = (verdict.divergence for verdict in found if verdict.divergence is not None)
    # A layer that torch has as an expression cannot be seen: it is named as one that may be at fault.
    assert path in [first.node.path, *(look.path for look in first.inputs if look.error is None)]


def test_a_changed_source_fails_the_whole_check(sources: dict[str, str]) -> None:
    graph = cnnspec.loads(MUTABLE)
    keras = changed(sources["keras"], r"epsilon=1e-0?5", "epsilon=1e-3")
    report = verify(graph, targets=["torch", "keras-tensorflow"], sources={"keras": keras})
    assert not report.ok
    assert "keras-tensorflow and torch disagree from `bn1` on (float64, evaluation)" in report.as_text()


SAME = """
model Net {
    input x: 3x8x8
    conv(4, 3x3, stride = 2, pad = same) -> relu -> pool: max_pool(2x2, stride = 2, pad = same)
}
"""


def test_padding_that_is_right_at_one_size_alone_is_caught_at_another() -> None:
    """`same` is no padding at 8x8, and is at 6x6."""
    graph = cnnspec.loads(SAME)
    sources = {}
    for name, right, wrong in (
        ("torch", "SameMaxPool2d(2)", "nn.MaxPool2d(2)"),
        ("keras", 'MaxPooling2D(2, padding="same"', "MaxPooling2D(2"),
    ):
        emitted = backend(name).emit(graph, [])
        assert right in emitted
        sources[name] = emitted.replace(right, wrong)
    targets = ["reference", "torch", "keras-tensorflow"]
    report = verify(graph, targets=targets, sources=sources, level="forward")
    assert all(row.verdict.ok for row in report.rows)
    assert {row.target: [] for row in report.sizes} == {target: [] for target in targets}
    assert [(row.target, row.size) for row in report.sizes if not row.verdict.ok] == [
        ("torch", "3x6x6"),
        ("keras-tensorflow", "3x6x6"),
    ]
    assert not report.ok
    assert "`pool`" in report.as_text()
    assert "at 3x6x6" in report.as_text()
    assert verify(graph, targets=targets, level="forward").ok
