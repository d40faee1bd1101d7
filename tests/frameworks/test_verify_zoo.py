"""Networks of the zoo through the cross-check: small ones on every target, one of most families on all but some.

``make crosscheck`` runs all of them on every target, for hours.
"""

from __future__ import annotations

import pytest

import cnnspec
from cnnspec.verify import verify

SMALL = ("tanh_convnet", "conv520", "dense23550", "sigmoid_mlp", "lenet5", "nielsen6", "fcn", "dqn")
SIZES = {"fcn": (3, 32, 32), "dqn": (4, 64, 64)}

FAMILIES = {
    "squeezenet1_1": 64,
    "shufflenet_v2_x0_5": 64,
    "mnasnet0_5": 96,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 96,
    "regnet_y_400mf": 64,
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
    "keras/resnet50": 64,
    "resnet50v2": 64,
    "xception": 64,
}
ON_JAX = ("squeezenet1_1", "shufflenet_v2_x0_5", "keras/mobilenetv2")
"""Those that it compiles and runs in less than a minute."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_on_every_target(name: str) -> None:
    report = verify(cnnspec.load(name, inputs=SIZES.get(name)), targets=["all"], level="train")
    assert report.ok, report.as_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_on_all_but_some(name: str) -> None:
    graph = cnnspec.load(name, inputs=(3, FAMILIES[name], FAMILIES[name]))
    targets = ["reference", "torch", "keras-tensorflow", "keras-torch", *(["keras-jax"] if name in ON_JAX else [])]
    report = verify(graph, targets=targets, level="train")
    assert report.ok, report.as_text()
