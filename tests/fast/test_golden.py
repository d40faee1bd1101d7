"""The generated code of the zoo, reviewed as code: tests/golden/<spec>/<backend>.py.

``make golden`` rewrites the files; the difference is what a reviewer reads.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from cnnspec import api, loading
from cnnspec.backend import emitter
from cnnspec.graph import Graph

HERE = Path(__file__).parents[1] / "golden"
BACKENDS = ("torch", "keras")
SPECS = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "dqn",
    "efficientnet_b0",
    "fcn",
    "googlenet",
    "inception_v3",
    "keras/convnexttiny",
    "keras/densenet121",
    "keras/efficientnetb0",
    "keras/efficientnetv2b0",
    "keras/inceptionresnetv2",
    "keras/inceptionv3",
    "keras/mobilenet",
    "keras/mobilenetv2",
    "keras/mobilenetv3small",
    "keras/resnet50",
    "keras/resnet50v2",
    "keras/vgg16",
    "lenet5",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "nasnetmobile",
    "nielsen6",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "tanh_convnet",
    "unet",
    "vgg16_bn",
    "xception",
]
"""One network of each family at least."""
LONGEST = {("resnet50", "torch"): 120, ("resnet50", "keras"): 100, ("nasnetmobile", "torch"): 400}
BLOCKS = {
    "resnet50": {"Bottleneck"},
    "densenet121": {"DenseLayer", "DenseBlock", "Transition"},
    "googlenet": {"BasicConv", "Inception"},
    "unet": {"DoubleConv", "Up"},
    "lenet5": set[str](),
}


@lru_cache(maxsize=1)
def loaded(spec: str) -> tuple[Graph, list[Graph]]:
    """What `api.compile` loads, once for both backends, which follow each other in the order of the tests."""
    return api.load_for_compiling(loading.find(spec))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spec", SPECS)
def test_code_of_the_zoo(spec: str, backend: str, golden: Callable[[str | Path, str], None]) -> None:
    text = emitter(backend).emit(*loaded(spec))
    golden(f"{spec.replace('/', '_')}/{backend}.py", text)
    assert len(text.splitlines()) <= LONGEST.get((spec, backend), 320)


@pytest.mark.parametrize("backend", BACKENDS)
def test_auxiliary_heads(backend: str, golden: Callable[[str | Path, str], None]) -> None:
    golden(f"googlenet_auxiliary/{backend}.py", api.compile("googlenet", backend, auxiliary_heads=True))


@pytest.mark.parametrize("spec", BLOCKS)
def test_each_block_is_one_class_or_function(spec: str) -> None:
    """Besides the model itself, and helpers where a network needs them."""
    blocks = BLOCKS[spec]
    classes = re.findall(r"^class (\w+)\(nn\.Module\)", api.compile(spec, "torch"), re.MULTILINE)
    assert set(classes[:-1]) == blocks
    assert len(classes) == len(blocks) + 1
    functions = re.findall(r"^def (\w+)", api.compile(spec, "keras"), re.MULTILINE)
    assert len([name for name in functions if name != "window_padding"]) == len(blocks) + 1


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff_finds_nothing(arguments: tuple[str, ...]) -> None:
    """With ruff's defaults, as whoever receives the code may have them.  The files are what the tests above produce."""
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", str(HERE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_file_is_left_over() -> None:
    names = [spec.replace("/", "_") for spec in (*SPECS, "googlenet_auxiliary")]
    known = {f"{name}/{backend}.py" for name in names for backend in BACKENDS}
    assert {path.relative_to(HERE).as_posix() for path in HERE.rglob("*.py")} == known
