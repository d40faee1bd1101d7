"""Random networks: every seed names a valid one, and failures are made smaller."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cnnspec import api
from cnnspec.cli.fuzz import command
from cnnspec.fuzz.compare import Answer, differences, sorted_out
from cnnspec.fuzz.generate import random_spec
from cnnspec.fuzz.minimise import minimise
from cnnspec.graph import Graph
from cnnspec.layers import LAYERS

SEEDS = range(150)


@pytest.fixture(scope="module")
def graphs() -> list[Graph]:
    return [api.loads(random_spec(seed)) for seed in SEEDS]


def test_every_seed_is_valid_and_every_layer_is_drawn(graphs: list[Graph]) -> None:
    kinds = {node.layer.kind for graph in graphs for node in graph.layers}
    assert kinds == set(LAYERS)


def test_networks_look_like_networks(graphs: list[Graph]) -> None:
    """What the emitters have to plan for: blocks of several uses, loops, parameters, several inputs and outputs."""
    texts = [graph.model_dump_json() for graph in graphs]
    assert sum("loop" in text for text in texts) > 15
    assert sum(bool(graph.parameters) for graph in graphs) > 15
    assert sum(len(graph.inputs) > 1 for graph in graphs) > 5
    assert sum(len(graph.outputs) > 1 for graph in graphs) > 15
    assert sum(len(graph.shape(graph.inputs[0].value)) != 3 for graph in graphs) > 15
    assert sum(len(graph.layers) for graph in graphs) > 20 * len(graphs)


def test_a_seed_names_a_spec() -> None:
    assert random_spec(7) == random_spec(7) != random_spec(8)
    shown = CliRunner().invoke(command, ["--seed", "7", "--show"])
    assert shown.output == random_spec(7)


def test_unknown_targets_are_refused() -> None:
    result = CliRunner().invoke(command, ["--targets", "caffe"])
    assert result.exit_code == 2
    assert "cannot run `caffe`" in result.output


def test_minimising_keeps_what_fails_and_nothing_else() -> None:
    text = """\
block Unit(filters, act = relu) {
    input x
    x -> conv(filters, 3, pad = same, stride = 2) -> batch_norm -> act
}

model Net {
    input image: 3x16x16

    x = image
    x = x -> Unit(4)
    x = x -> Unit(6, act = tanh)
    for i in range(2) {
        x = x -> conv(4, 1) -> sigmoid
    }
    x = x -> max_pool(2) -> celu(0.3) -> relu
    x = x + (x -> conv(4, 3, pad = 1))
    x -> flatten -> dense(3)
}
"""
    smallest = minimise(text, lambda candidate: "celu(0.3)" in candidate, most_trials=1000)
    graph = api.loads(smallest)
    assert [node.layer.kind for node in graph.layers] == ["celu"]
    assert "block" not in smallest
    assert "for" not in smallest


def test_minimising_stops_at_its_limit() -> None:
    asked = []

    def never(candidate: str) -> bool:
        asked.append(candidate)
        return False

    text = random_spec(3)
    assert minimise(text, never, most_trials=10) == text
    assert len(asked) == 10


def test_differences_and_what_rounding_explains() -> None:
    import numpy as np

    def answer(output: float, gradient: float) -> Answer:
        numbers = {"output y": np.array([1.0, output]), "gradient w": np.array([gradient, 1.0])}
        return Answer({"evaluation": numbers}, coarse=False)

    assert not differences(answer(2.0, 0.5), answer(2.0 + 1e-12, 0.5))
    (found,) = differences(answer(2.0, 0.5), answer(2.0, 0.5 + 1e-8))
    assert found.name == "gradient w"
    assert found.furthest == pytest.approx(1e-8, rel=1e-3)
    assert sorted_out([found], {}) == ([found], [])
    assert sorted_out([found], {"evaluation": {"gradient w": 1e-12}}) == ([found], [])
    assert sorted_out([found], {"evaluation": {"gradient w": 1e-9}}) == ([], [found])
    # Where all of it is rounding, nothing is left to compare.
    assert sorted_out([found], {"evaluation": {"gradient w": 1.0}}) == ([], [])
    missing = Answer({"evaluation": {"output y": np.ones(2)}}, coarse=False)
    assert [one.furthest for one in differences(answer(1.0, 1.0), missing)] == [float("inf")]
