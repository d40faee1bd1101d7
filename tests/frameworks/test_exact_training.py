"""Code of ``--exact-training``: a training run in Keras gives what it gives in PyTorch, running variance included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnspec
from cnnspec.backend import backend
from cnnspec.verify import verify
from cnnspec.weights import draw
from support.exact_training import RATE, train
from support.residents import Residents

SPEC = """
model Net {
    input image: 3x6x6
    conv(4, 3x3, pad = 1) -> bn1: batch_norm(momentum = 0.25) -> relu -> conv(4, 3x3, stride = 2) -> bn2: batch_norm
    output scores = flatten -> fc: dense(5) -> bn3: batch_norm(momentum = 0.3) -> head: dense(2)
}
"""
STEPS, BATCH = 3, 4


def trained_by_torch(x: Any, y: Any) -> dict[str, Any]:
    import torch

    graph = cnnspec.loads(SPEC)
    runtime = backend("torch").runtime("torch", "float64")
    model = runtime.build(backend("torch").exact_training().emit(graph, []), graph)
    runtime.load(model, graph, draw(graph, 1))
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), RATE)
    for given, wanted in zip(x, y, strict=True):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(model(torch.from_numpy(given)), torch.from_numpy(wanted)).backward()
        optimiser.step()
    return runtime.state(model, graph)


@pytest.mark.parametrize("target", ["keras-tensorflow", "keras-jax", "keras-torch"])
def test_a_training_run_is_that_of_torch(target: str, tmp_path: Path, residents: Residents) -> None:
    gap = backend("keras").missing(target)
    if gap is not None:
        pytest.skip(gap)
    random = np.random.default_rng(5)
    x, y = random.normal(0.3, 1, (STEPS, BATCH, 3, 6, 6)), random.normal(size=(STEPS, BATCH, 2))
    found, off = residents.of(target).call(train, SPEC, target, x, y, tmp_path)
    expected = trained_by_torch(x, y)
    assert set(found) == set(expected)
    for key, values in expected.items():
        assert np.abs(found[key] - values).max() <= 1e-10 * np.abs(values).max(), key
    # Its weights in Keras's own layers, and those of the model that was saved and loaded back, before and after a step.
    assert off[:2] == [0, 0]
    assert off[2] < 1e-12


def test_verify_demands_it() -> None:
    graph = cnnspec.loads(SPEC)
    targets = ["reference", "torch", "keras-tensorflow"]
    assert verify(graph, targets=targets, level="forward", exact_training=True).ok
    stock = {"keras": backend("keras").emit(graph, [])}
    report = verify(graph, targets=targets, level="forward", exact_training=True, sources=stock)
    assert not report.ok
    assert {row.target for row in report.rows if not row.verdict.ok} == {"keras-tensorflow"}
