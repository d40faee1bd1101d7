"""Networks of the zoo through the cross-check: of every spec file but two, on as many targets as there is time for.

What takes longest is for ``make soak``, which then runs all networks on every target, for hours.  Left out here are the
files of torchvision's VGG, for its 130 million weights, and of its Inception v3, whose auxiliary head needs images of
299x299.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

import cnnspec
from cnnspec.verify import verify

SMALL = ("tanh_convnet", "conv520", "dense23550", "sigmoid_mlp", "nielsen6", "fcn", "dqn")
SIZES = {"fcn": (3, 32, 32), "dqn": (4, 64, 64)}


def cases(names: Iterable[str], often: Collection[str]) -> list[Any]:
    """All of them, of which a change runs those that are named twice."""
    assert set(often) <= set(names)
    return [name if name in often else pytest.param(name, marks=pytest.mark.soak) for name in names]


FAMILIES = {
    "squeezenet1_1": 64,
    "shufflenet_v2_x0_5": 64,
    "mnasnet0_5": 96,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 96,
    "efficientnet_b0": 96,
    "googlenet": 64,
    "densenet121": 64,
    "resnet18": 64,
    "mobilenet": 64,
    "keras/mobilenetv2": 64,
    "keras/mobilenetv3small": 96,
    "keras/efficientnetb0": 96,
    "efficientnetv2b0": 64,
    "nasnetmobile": 128,
    "keras/densenet121": 64,
}
"""By the size of their images: at level ``train``."""
OFTEN = (
    "squeezenet1_1",
    "shufflenet_v2_x0_5",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "resnet18",
    "mobilenet",
    "keras/mobilenetv2",
    "keras/efficientnetb0",
)
STEPS = 2
"""Of training, of the families: five take a minute more, as the small ones have here, and all in `make soak`."""
LARGE = {
    "unet": (1, 32, 32),
    "alexnet": (3, 64, 64),
    "convnext_tiny": (3, 128, 128),
    "keras/convnexttiny": (3, 128, 128),
    "regnet_y_400mf": (3, 64, 64),
    "keras/resnet50": (3, 64, 64),
    "resnet50v2": (3, 64, 64),
    "xception": (3, 64, 64),
    "inceptionresnetv2": (3, 128, 128),
    "keras/inceptionv3": (3, 128, 128),
    "keras/vgg16": (3, 32, 32),
}
"""At level ``gradient``: steps of training take more than half of the time."""
ON_JAX = ("squeezenet1_1", "shufflenet_v2_x0_5")
"""Those that it compiles and runs in less than a minute."""


@pytest.mark.slow
@pytest.mark.processes
def test_on_every_target_as_users_run_it() -> None:
    report = verify(cnnspec.load("lenet5"), targets=["all"], level="train")
    assert report.ok, report.as_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(SMALL, ("tanh_convnet", "conv520", "dense23550", "sigmoid_mlp")))
def test_on_every_target(name: str) -> None:
    report = verify(cnnspec.load(name, inputs=SIZES.get(name)), targets=["all"], level="train")
    assert report.ok, report.as_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(FAMILIES, OFTEN))
def test_on_all_but_some(name: str) -> None:
    graph = cnnspec.load(name, inputs=(3, FAMILIES[name], FAMILIES[name]))
    targets = ["reference", "torch", "keras-tensorflow", "keras-torch", *(["keras-jax"] if name in ON_JAX else [])]
    report = verify(graph, targets=targets, level="train", steps=STEPS)
    assert report.ok, report.as_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", cases(LARGE, ("unet", "resnet50v2")))
def test_gradients_of_large_ones(name: str) -> None:
    graph = cnnspec.load(name, inputs=LARGE[name])
    report = verify(graph, targets=["reference", "torch", "keras-tensorflow"], level="gradient")
    assert report.ok, report.as_text()
