"""Code of ``--exact-training``: a training run in Keras gives what it gives in PyTorch, running variance included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnspec
from cnnspec.backend import backend
from cnnspec.verify import verify
from cnnspec.weights import draw

SPEC = """
model Net {
    input image: 3x6x6
    conv(4, 3x3, pad = 1) -> bn1: batch_norm(momentum = 0.25) -> relu -> conv(4, 3x3, stride = 2) -> bn2: batch_norm
    output scores = flatten -> fc: dense(5) -> bn3: batch_norm(momentum = 0.3) -> head: dense(2)
}
"""
RATE = 0.0625
"""The learning rate, exact in float32, to which Keras rounds it."""
STEPS, BATCH = 3, 4

TRAIN = f"""
import sys
import numpy
import cnnspec
from cnnspec.backend import backend
from cnnspec.weights import draw

target, spec, data, out = sys.argv[1:]
graph = cnnspec.load(spec)
chosen = backend("keras").exact_training()
runtime = chosen.runtime(target, "float64")
import keras

model = runtime.build(chosen.emit(graph, []), graph)
runtime.load(model, graph, draw(graph, 1))
with numpy.load(data) as arrays, runtime._exact():
    model.compile(keras.optimizers.SGD({RATE}), loss="mse")
    for x, y in zip(arrays["x"], arrays["y"]):
        model.train_on_batch(numpy.moveaxis(x, 1, -1), y)
    numpy.savez(out, **runtime.state(model, graph))
    model.save(out + ".keras")
    again = keras.models.load_model(out + ".keras")
    plain = runtime.build(backend("keras").emit(graph, []), graph)
    model.save_weights(out + ".weights.h5")
    plain.load_weights(out + ".weights.h5")
    assert [layer.name for layer in model.layers] == [layer.name for layer in plain.layers]
    for one in (model, again):
        print("off by", max(abs(a - b).max() for a, b in zip(one.get_weights(), plain.get_weights(), strict=True)))
        one.train_on_batch(numpy.moveaxis(x, 1, -1), y)
    print("off by", max(abs(a - b).max() for a, b in zip(model.get_weights(), again.get_weights(), strict=True)))
"""


def trained_by_torch(spec: Path, x: Any, y: Any) -> dict[str, Any]:
    import torch

    graph = cnnspec.load(str(spec))
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
def test_a_training_run_is_that_of_torch(target: str, tmp_path: Path) -> None:
    gap = backend("keras").missing(target)
    if gap is not None:
        pytest.skip(gap)
    (tmp_path / "net.cnn").write_text(SPEC, encoding="utf-8")
    random = np.random.default_rng(5)
    x, y = random.normal(0.3, 1, (STEPS, BATCH, 3, 6, 6)), random.normal(size=(STEPS, BATCH, 2))
    np.savez(tmp_path / "data.npz", x=x, y=y)
    files = [str(tmp_path / name) for name in ("net.cnn", "data.npz", "state.npz")]
    command = [sys.executable, "-P", "-W", "ignore", "-c", TRAIN, target, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = trained_by_torch(tmp_path / "net.cnn", x, y)
    with np.load(tmp_path / "state.npz") as found:
        assert set(found) == set(expected)
        for key, values in expected.items():
            assert np.abs(found[key] - values).max() <= 1e-10 * np.abs(values).max(), key
    # Its weights in Keras's own layers, and those of the model that was saved and loaded back, before and after a step.
    off = [float(line.removeprefix("off by")) for line in done.stdout.splitlines() if line.startswith("off by")]
    assert len(off) == 3
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
