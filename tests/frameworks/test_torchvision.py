"""The generated PyTorch code is torchvision's: it loads torchvision's state strictly, and its outputs are equal.

Equal bit for bit in float32, because the code does the same operations in the same order.  ConvNeXt is so too, once
PyTorch computes it with its own kernels; by default it uses oneDNN's GELU for a tensor that lies in memory in the
order of its axes, which torchvision's does, whose blocks turn the map to channels last and back once, and the
generated code's does not, whose layers work on the channels where they are.  The two kernels round the error function
differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from cnnspec import api, zoo
from cnnspec.codegen.naming import safe
from cnnspec_torch.runtime import import_source
from support.torchvision_models import AUXILIARY, drawn, reference, torchvision_models

FAMILIES = {
    "alexnet": 224,
    "convnext_tiny": 224,
    "densenet121": 224,
    "efficientnet_b0": 224,
    "efficientnet_v2_s": 128,
    "googlenet": 224,
    "inception_v3": 299,
    "mnasnet1_0": 224,
    "mobilenet_v2": 224,
    "mobilenet_v3_large": 224,
    "mobilenet_v3_small": 224,
    "regnet_x_400mf": 224,
    "regnet_y_400mf": 224,
    "resnet18": 224,
    "resnet50": 224,
    "resnext50_32x4d": 128,
    "shufflenet_v2_x1_0": 224,
    "squeezenet1_1": 224,
    "vgg11": 96,
    "vgg11_bn": 96,
    "wide_resnet50_2": 128,
}
"""One or two networks of each family, with the height and width of what they are run on."""

SIBLINGS = {
    "convnext_base": 128,
    "convnext_large": 128,
    "convnext_small": 128,
    "densenet161": 64,
    "densenet169": 64,
    "densenet201": 64,
    "efficientnet_b1": 64,
    "efficientnet_b2": 64,
    "efficientnet_b3": 64,
    "efficientnet_b4": 64,
    "efficientnet_b5": 64,
    "efficientnet_b6": 64,
    "efficientnet_b7": 64,
    "efficientnet_v2_l": 64,
    "efficientnet_v2_m": 64,
    "mnasnet0_5": 64,
    "mnasnet0_75": 64,
    "mnasnet1_3": 64,
    "regnet_x_16gf": 64,
    "regnet_x_1_6gf": 64,
    "regnet_x_32gf": 64,
    "regnet_x_3_2gf": 64,
    "regnet_x_800mf": 64,
    "regnet_x_8gf": 64,
    "regnet_y_128gf": 64,
    "regnet_y_16gf": 64,
    "regnet_y_1_6gf": 64,
    "regnet_y_32gf": 64,
    "regnet_y_3_2gf": 64,
    "regnet_y_800mf": 64,
    "regnet_y_8gf": 64,
    "resnet101": 64,
    "resnet152": 64,
    "resnet34": 64,
    "resnext101_32x8d": 64,
    "resnext101_64x4d": 64,
    "shufflenet_v2_x0_5": 64,
    "shufflenet_v2_x1_5": 64,
    "shufflenet_v2_x2_0": 64,
    "squeezenet1_0": 64,
    "vgg13": 32,
    "vgg13_bn": 32,
    "vgg16": 32,
    "vgg16_bn": 32,
    "vgg19": 32,
    "vgg19_bn": 32,
    "wide_resnet101_2": 64,
}
"""The others, on maps that are as small as they can be."""
ROUNDED_OTHERWISE = {name for name in (*FAMILIES, *SIBLINGS) if name.startswith("convnext")}


def generated(name: str) -> nn.Module:
    """The generated network, without values."""
    options = {"auxiliary_heads": True} if name in AUXILIARY else {}
    source = api.compile(name, "torch", **options)
    graph = api.load(name, **options)
    with torch.device("meta"):
        model: nn.Module = getattr(import_source(source, graph.name), safe(graph.name))()
    return model


def both(name: str) -> tuple[nn.Module, nn.Module]:
    """Torchvision's network and the generated one, with one state."""
    theirs, ours = reference(name), generated(name)
    state = drawn(theirs)
    theirs.load_state_dict(state, strict=True, assign=True)
    ours.load_state_dict(state, strict=True, assign=True)
    return theirs, ours


def compare(name: str, size: int) -> None:
    theirs, ours = (model.eval() for model in both(name))
    image = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = theirs(image), ours(image)
        assert expected.isfinite().all()
        assert not torch.equal(expected[0], expected[1])
        if name in ROUNDED_OTHERWISE:
            assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
            with without_onednn():
                expected, found = theirs(image), ours(image)
        assert torch.equal(found, expected)


@contextmanager
def without_onednn() -> Iterator[None]:
    """PyTorch's own kernels; the public switch warns about Intel's GPUs."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def test_every_network_of_torchvision_in_the_zoo_is_run() -> None:
    names = torchvision_models().list_models(module=torchvision_models())
    assert {name for name in names if zoo.find(f"torchvision/{name}")} == FAMILIES.keys() | SIBLINGS.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_each_family(name: str) -> None:
    compare(name, FAMILIES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SIBLINGS)
def test_its_siblings(name: str) -> None:
    compare(name, SIBLINGS[name])


@pytest.mark.parametrize("name", AUXILIARY)
def test_auxiliary_heads(name: str) -> None:
    """In training mode, without dropout, all outputs are equal; in evaluation mode there is only the first."""
    theirs, ours = both(name)
    for module in (*theirs.modules(), *ours.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    image = torch.randn(2, 3, 299, 299, generator=torch.Generator().manual_seed(1))
    expected, found = theirs.train()(image), ours.train()(image)
    assert len(found) == len(AUXILIARY[name])
    for output, theirs_is, ours_is in zip(AUXILIARY[name], expected, found, strict=True):
        assert torch.equal(theirs_is, ours_is), output
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, ours.state_dict()[key]), key
