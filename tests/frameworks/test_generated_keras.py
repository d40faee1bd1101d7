"""Generated Keras code agrees with the PyTorch code on the same weights, on each backend, and survives saving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cnnspec.backend import backend
from cnnspec.weights import draw, draw_inputs
from support.keras_process import BATCH, SEED, Network, network, run
from support.residents import Residents

SMALL = [3, 64, 64]
FAMILIES: list[Network] = [
    ("resnet50", None, {}, False),
    ("resnet18", SMALL, {"classes": 10}, True),
    ("alexnet", [3, 80, 80], {"classes": 10}, True),
    ("convnext_tiny", SMALL, {"classes": 10}, True),
    ("densenet121", SMALL, {"classes": 10}, True),
    ("efficientnet_b0", SMALL, {"classes": 10}, True),
    ("googlenet", SMALL, {"classes": 10}, True),
    ("inception_v3", [3, 96, 96], {"classes": 10, "auxiliary_heads": False}, True),
    ("mnasnet0_5", SMALL, {"classes": 10}, True),
    ("mobilenet_v2", SMALL, {"classes": 10}, True),
    ("mobilenet_v3_small", SMALL, {"classes": 10}, True),
    ("regnet_y_400mf", SMALL, {"classes": 10}, True),
    ("resnext50_32x4d", SMALL, {"classes": 10}, True),
    ("shufflenet_v2_x1_0", SMALL, {"classes": 10}, True),
    ("squeezenet1_1", SMALL, {"classes": 10}, True),
    ("vgg11_bn", SMALL, {"classes": 10}, True),
    ("unet", [1, 32, 32], {}, True),
]
ELSEWHERE: list[Network] = [
    ("resnet18", SMALL, {"classes": 10}, True),
    ("shufflenet_v2_x1_0", SMALL, {"classes": 10}, True),
]
TARGETS = {"keras-tensorflow": FAMILIES, "keras-jax": ELSEWHERE, "keras-torch": ELSEWHERE}
GATES = {"float64": 1e-10, "float32": 1e-5}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, residents: Residents) -> Mapping[str, Mapping[str, NDArray[Any]]]:
    """What every network gave on every backend: a process for each, one after another."""
    found = {}
    for target, networks in TARGETS.items():
        gap = backend("keras").missing(target)
        if gap is not None:
            continue
        found[target] = residents.of(target).call(run, target, networks, tmp_path_factory.mktemp(target))
    return found


def cases(*, saved: bool = False) -> list[Any]:
    """Every target with the place of each of its networks, or of those that are saved."""
    return [
        pytest.param(target, number, id=f"{target}-{network[0]}")
        for target, networks in TARGETS.items()
        for number, network in enumerate(networks)
        if network[3] or not saved
    ]


def of(results: Mapping[str, Mapping[str, NDArray[Any]]], target: str) -> Mapping[str, NDArray[Any]]:
    if target not in results:
        pytest.skip(str(backend("keras").missing(target)))
    return results[target]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "number"), cases())
def test_keras_agrees_with_torch(results: Mapping[str, Mapping[str, NDArray[Any]]], target: str, number: int) -> None:
    found = of(results, target)
    spec, shape, parameters, _ = TARGETS[target][number]
    graph, probes = network(spec, shape, parameters)
    source = backend("torch").emit(graph, probes)
    state, inputs = draw(graph, SEED), draw_inputs(graph, BATCH, SEED)
    for precision in ("float64", "float32"):
        runtime = backend("torch").runtime("torch", precision)
        model = runtime.build(source, graph)
        runtime.load(model, graph, state)
        for name, expected in runtime.forward(model, graph, inputs, training=False).outputs.items():
            value = found[f"{number}/{precision}/{name}"]
            assert value.dtype == expected.dtype == np.dtype(precision)
            assert np.ptp(expected) > 0
            deviation = np.abs(value - expected).max() / np.abs(expected).max()
            assert deviation <= GATES[precision], f"{name} in {precision}: {deviation:.1e}"
        del model
    torch.set_grad_enabled(True)


@pytest.mark.slow
@pytest.mark.parametrize(("target", "number"), cases(saved=True))
def test_saved_and_loaded_back(results: Mapping[str, Mapping[str, NDArray[Any]]], target: str, number: int) -> None:
    found = of(results, target)
    assert found[f"{number}/loaded/same_layers"]
    assert found[f"{number}/loaded/same_weights"]
    # The same layers on the same weights; on TensorFlow a loaded model may order a sum otherwise.
    assert found[f"{number}/loaded/deviation"] <= 1e-6
