"""torchvision's network definitions, without its compiled operators, and values for them in which everything counts."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from torch import Tensor, nn

AUXILIARY = {"googlenet": ("logits", "aux2", "aux1"), "inception_v3": ("logits", "aux")}
"""The networks with auxiliary heads, and their outputs in training."""


def torchvision_models() -> ModuleType:
    """``torchvision.models``; skips the calling test where torchvision is not installed.

    torchvision's wheels are built for CUDA, and their compiled operators do not load beside a CPU build of torch.  The
    networks do not use them, but importing torchvision describes them to torch, which refuses to describe operators it
    does not know: those descriptions are left out here.
    """
    try:
        import torch.library

        register_fake = torch.library.register_fake

        def register_known(op: Any, *arguments: Any, **options: Any) -> Callable[..., Any]:
            if isinstance(op, str) and op.startswith("torchvision::"):
                return lambda function: function
            return register_fake(op, *arguments, **options)

        with mock.patch.object(torch.library, "register_fake", register_known):
            import torchvision.models
    except ModuleNotFoundError as error:
        import pytest  # only here, so that the benchmarks do not measure it

        pytest.skip(f"{error.name} is not installed")
    return torchvision.models


def reference(name: str) -> nn.Module:
    """Torchvision's network, without values."""
    import torch

    options: dict[str, Any] = {}
    if name in AUXILIARY:
        options = {"aux_logits": True, "init_weights": False, "transform_input": False}
    # A RegNet computes its widths with tensors.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        model: nn.Module = torchvision_models().get_model(name, weights=None, **options)
    return model


def drawn(model: nn.Module, gain: float = 2.0) -> dict[str, Tensor]:
    """A state for a model in which everything counts: running statistics and learned scales included.

    The variance of a kernel is ``gain / fan_in``.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = model.state_dict()  # with its version, which MNASNet asks for
    for key, tensor in state.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros(tensor.shape, dtype=tensor.dtype)
        elif key.endswith("running_var"):
            state[key] = torch.rand(tensor.shape, generator=generator) * 1.5 + 0.5
        elif key.endswith(("running_mean", "bias")):
            state[key] = torch.randn(tensor.shape, generator=generator) * 0.2
        elif tensor.ndim == 1 or "layer_scale" in key:
            state[key] = torch.rand(tensor.shape, generator=generator) + 0.5
        else:
            fan = tensor[0].numel()
            state[key] = torch.randn(tensor.shape, generator=generator) * (gain / fan) ** 0.5
    return state
