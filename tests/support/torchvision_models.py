"""torchvision's network definitions, without its compiled operators."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest import mock


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
