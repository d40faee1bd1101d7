"""Generated Keras models: the same function as the PyTorch ones, on every backend of Keras, before and after saving.

A backend of Keras has a process of its own, which this file is as a script: it prints by how much each network differs,
relative to the largest output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ENGINES = ("tensorflow", "jax", "torch")
# One of each family, smaller than usual where the size changes the form of no layer.
NETWORKS = {
    "resnet50": 64,
    "alexnet": 96,
    "convnext_tiny": 64,
    "densenet121": 64,
    "googlenet": 64,
    "mobilenet_v2": 64,
    "resnet18": 64,
    "shufflenet_v2_x1_0": 64,
    "squeezenet1_1": 64,
    "vgg11_bn": 64,
}
EVERYWHERE = ("resnet50",)
GATES = {"float32": 1e-5, "float64": 1e-10}


@pytest.fixture(scope="module", params=ENGINES)
def differences(request: pytest.FixtureRequest) -> dict[str, dict[str, float]]:
    """What the process of one backend of Keras printed."""
    names = list(NETWORKS) if request.param == "tensorflow" else list(EVERYWHERE)
    here = Path(__file__)
    ran = subprocess.run(
        [sys.executable, str(here), request.param, *names],
        env={**os.environ, "PYTHONPATH": str(here.parent.parent)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, dict[str, float]] = json.loads(ran.stdout.splitlines()[-1])
    assert set(found) == set(names)
    return found


def test_it_is_the_function_of_the_pytorch_code(differences: dict[str, dict[str, float]]) -> None:
    for name, found in differences.items():
        for precision, gate in GATES.items():
            assert found[precision] < gate, f"{name} in {precision}: {found[precision]:.1e}"


def test_it_survives_saving(differences: dict[str, dict[str, float]]) -> None:
    """What `.keras` gives back computes the very same."""
    assert all(found["saved"] == 0.0 for found in differences.values())


def main(engine: str, names: list[str]) -> None:
    import numpy as np

    import cnnspec
    from cnnspec.backend import Precision, backend
    from cnnspec.weights import draw, draw_inputs

    def forward(framework: str, target: str, precision: Precision) -> tuple[object, np.ndarray]:
        runtime = backend(framework).runtime(target, precision)
        model = runtime.build(backend(framework).emit(graph, []), graph)
        runtime.load(model, graph, weights)
        outputs = runtime.forward(model, graph, images, training=False).outputs
        return model, np.asarray(next(iter(outputs.values())), dtype=np.float64)

    differ: dict[str, dict[str, float]] = {}
    for name in names:
        size = NETWORKS[name]
        graph = cnnspec.load(name, inputs={"": (3, size, size)})
        weights, images = draw(graph, 0), draw_inputs(graph, 2, 0)
        found = differ[name] = {}
        _, truth = forward("torch", "torch", "float64")
        for precision in ("float64", "float32"):
            model, ours = forward("keras", f"keras-{engine}", precision)  # type: ignore[arg-type]
            found[precision] = float(np.abs(ours - truth).max() / np.abs(truth).max())
        found["saved"] = saved_difference(model, images)
    print(json.dumps(differ))


def saved_difference(model: object, images: dict[str, object]) -> float:
    """By how much the outputs differ after a round through a `.keras` file."""
    import keras
    import numpy as np

    (image,) = images.values()
    batch = np.moveaxis(np.asarray(image, dtype=np.float32), 1, -1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)  # type: ignore[attr-defined]
        again = keras.saving.load_model(path)
    one, other = (keras.ops.convert_to_numpy(each(batch)) for each in (model, again))  # type: ignore[operator]
    return float(np.abs(one - other).max())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
