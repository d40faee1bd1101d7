"""The generated code computes what keras.applications does, with the weights in the file that its model saves.

In float64, so that a difference is one of meaning.  One network of each family is run here, on small images; `make zoo`
runs all of them, in float32 too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from safetensors.torch import load_file

from cnnspec import zoo
from cnnspec.cli.application import application
from cnnspec.codegen.naming import safe
from cnnspec_torch.runtime import import_source
from support.keras_models import generated

TOLERANCE = 1e-10
TESTS = Path(__file__).parents[1]

# The height and width of an image on which every layer has something to do, as small as it can be.
FAMILIES = {
    "ConvNeXtTiny": 128,
    "DenseNet121": 64,
    "EfficientNetB0": 96,
    "EfficientNetV2B0": 64,
    "InceptionResNetV2": 128,
    "InceptionV3": 128,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 96,
    "NASNetMobile": 96,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "VGG16": 32,
    "Xception": 96,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `support.keras_models` leaves of every network, in one process: its file, and outputs in Keras."""
    place = tmp_path_factory.mktemp("keras_applications")
    job = [[f"keras/{name}", name, [3, size, size]] for name, size in FAMILIES.items()]
    (place / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "support.keras_models", str(place / "job.json")]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return place


def test_every_family_is_run() -> None:
    families = {network.path.stem for network in zoo.by_name().values() if network.library == "keras"}
    found = [zoo.find(f"keras/{name}") for name in FAMILIES]
    assert sorted(network.path.stem for network in found if network is not None) == sorted(families)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_each_family(name: str, folder: Path) -> None:
    size = FAMILIES[name]
    with np.load(folder / f"{name}.npz") as arrays:
        found = {key: arrays[key] for key in arrays.files}
    expected = found["original/float64"]
    # Both images are seen, and the classes are told apart.
    assert np.abs(expected[0] - expected[1]).max() > 1e-3 * expected.max()
    assert expected.max() > 100 * expected.min()
    require_equal(found["keras/float64"], expected)
    require_equal(in_torch(name, size, folder, found["image"]), expected)


def in_torch(name: str, size: int, folder: Path, image: NDArray[Any]) -> NDArray[Any]:
    """What generated PyTorch makes of an image, with the weights as the command converts them."""
    state = folder / f"{name}.safetensors"
    arguments = [f"keras/{name}", folder / f"{name}.weights.h5", state, "--to", "torch", "--input", f"3x{size}x{size}"]
    done = CliRunner().invoke(application, ["weights", "convert", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    graph, source = generated(f"keras/{name}", (3, size, size), "torch")
    with torch.device("meta"):
        model = getattr(import_source(source, graph.name), safe(graph.name))()
    model.load_state_dict(load_file(state), strict=True, assign=True)
    with torch.inference_mode():
        result: NDArray[Any] = model.eval().double()(torch.from_numpy(image)).numpy()
    return result


def require_equal(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()
