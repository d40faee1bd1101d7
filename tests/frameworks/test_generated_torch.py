"""What generated PyTorch code promises beside its numbers: it compiles, exports, and runs in any precision."""

from __future__ import annotations

import pytest
import torch

import cnnspec

NETWORKS = {
    "resnet50": 64,
    "googlenet": 64,
    "mobilenet_v2": 64,
    "densenet121": 64,
    "shufflenet_v2_x1_0": 64,
    "convnext_tiny": 64,
    "unet": 32,
}
CHANNELS = {"unet": 1}


def small(name: str, size: int) -> tuple[torch.nn.Module, torch.Tensor]:
    shape = (CHANNELS.get(name, 3), size, size)
    model = cnnspec.build(name, inputs={"": shape}).eval()
    return model, torch.randn(2, *shape)


@pytest.mark.parametrize(("name", "size"), NETWORKS.items())
def test_it_is_one_graph_for_the_compiler(name: str, size: int) -> None:
    model, image = small(name, size)
    with torch.no_grad():
        expected = model(image)
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(image), expected)


@pytest.mark.parametrize(("name", "size"), NETWORKS.items())
def test_it_exports(name: str, size: int) -> None:
    model, image = small(name, size)
    with torch.no_grad():
        exported = torch.export.export(model, (image,)).module()
        torch.testing.assert_close(exported(image), model(image))


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_it_runs_in_any_precision(precision: torch.dtype) -> None:
    model, image = small("resnet50", 64)
    result = model.to(precision)(image.to(precision))
    assert result.dtype == precision
    assert torch.isfinite(result).all()


def test_the_class_count_is_a_constructor_argument() -> None:
    source = cnnspec.compile("resnet50")
    namespace: dict[str, object] = {}
    exec(compile(source, "resnet50.py", "exec"), namespace)
    assert namespace["ResNet50"](classes=7).fc.out_features == 7  # type: ignore[operator]


def test_it_learns() -> None:
    """A few steps on one batch bring the loss down."""
    torch.manual_seed(0)
    model = cnnspec.build("tanh_convnet").train()
    image, label = torch.randn(8, 1, 16, 16), torch.arange(8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(image), label)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
