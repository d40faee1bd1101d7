"""The NumPy draws of initial weights: moments and ranges, and that nothing depends on order."""

from __future__ import annotations

import numpy as np
import pytest

import cnnspec
from cnnspec.initialisers import Initialiser
from cnnspec.weights import initial
from cnnspec.weights.starting import sample
from support.initialisers import spec, wrong


def test_every_initialiser_draws_what_it_says() -> None:
    graph = cnnspec.loads(spec())
    weights = initial(graph, 0)
    assert list(weights) == list(graph.state)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    kinds = {weight.init.distribution for weight in graph.state.values()}
    assert len(kinds) == 13
    faults = {key: wrong(weight.init, weights[key]) for key, weight in graph.state.items()}
    assert not {key: fault for key, fault in faults.items() if fault}


@pytest.mark.parametrize(
    ("init", "shape", "other"),
    [
        (Initialiser(distribution="he_normal"), (64, 8, 3, 3), Initialiser(distribution="he_normal", fan="out")),
        (Initialiser(distribution="glorot_normal"), (64, 64, 3, 3), Initialiser(distribution="glorot_uniform")),
        (Initialiser(distribution="truncated_normal"), (30000,), Initialiser(distribution="normal")),
        (Initialiser(distribution="normal"), (30000,), Initialiser(distribution="truncated_normal")),
        (
            Initialiser(distribution="truncated_normal"), (30000,),
            Initialiser(distribution="truncated_normal", scale=0.96),
        ),
        (Initialiser(distribution="normal", value=0.05), (30000,), Initialiser(distribution="normal")),
        (Initialiser(distribution="orthogonal"), (100, 300), Initialiser(distribution="normal", scale=300**-0.5)),
        (Initialiser(distribution="ones"), (3,), Initialiser(distribution="zeros")),
    ],
)  # fmt: skip
def test_the_measure_tells_distributions_apart(init: Initialiser, shape: tuple[int, ...], other: Initialiser) -> None:
    generator = np.random.default_rng(0)
    assert not wrong(init, sample(init, shape, generator))
    assert wrong(init, sample(other, shape, generator))


def test_depends_on_key_and_seed_alone() -> None:
    one = cnnspec.loads("model A { input x: 4\n a: dense(5) -> b: dense(6) }")
    other = cnnspec.loads("model A { input x: 4\n z: dense(4) -> a: dense(5) -> c: dense(2) }")
    first, second = initial(one, 7), initial(other, 7)
    assert np.array_equal(first["a.weight"], second["a.weight"])
    assert not np.array_equal(first["a.weight"], initial(one, 8)["a.weight"])
    assert not np.array_equal(first["a.weight"].ravel()[:20], first["b.weight"].ravel()[:20])


def test_normalisation_starts_as_the_identity() -> None:
    weights = initial(cnnspec.loads("model A { input x: 4x2x2\n norm: batch_norm }"), 0)
    assert {key: set(values.tolist()) for key, values in weights.items()} == {
        "norm.weight": {1.0}, "norm.bias": {0.0}, "norm.running_mean": {0.0}, "norm.running_var": {1.0},
    }  # fmt: skip
